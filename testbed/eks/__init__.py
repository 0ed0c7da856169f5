"""Amazon EKS: amazon-vpc-cni-k8s, that is ipamD's decisions and the wiring of nodes and pods."""
