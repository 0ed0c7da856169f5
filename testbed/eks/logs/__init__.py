"""The logs that ipamD and the plugin `aws-cni` of a node write: what they say, and where."""
