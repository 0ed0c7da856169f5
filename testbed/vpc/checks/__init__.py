"""What AWS would refuse of a VPC and its instances, with its codes; paths start at their owner."""
