"""Amazon VPC: what a topology says of it, who owns which address, and the fabric's facts."""
