"""ipamD before an EC2 of its own, run until nothing changes or through a story of pods.  Pure."""
