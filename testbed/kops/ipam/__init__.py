"""Who gives pods their addresses: a range for each node, and host-local in it."""
