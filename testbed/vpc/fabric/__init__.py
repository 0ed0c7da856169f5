"""The facts of a VPC: subnets, router, gateways, resolver, and how ENIs hang on them."""
