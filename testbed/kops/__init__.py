"""kops with kubenet: a bridge and a pod range per node, and a VPC route to each of them."""
