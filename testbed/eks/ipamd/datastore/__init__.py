"""ipamD's data store of one node, what is written down of it, and what it forgets at a restart."""
