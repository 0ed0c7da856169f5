"""What amazon-vpc-cni-k8s writes into a node and its pods, as facts."""
