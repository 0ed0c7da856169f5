"""ipamD: the data store of a node, its settings, the pool loop's decisions."""
