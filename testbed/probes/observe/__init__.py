"""A real packet, followed through the lab by what its kernels tell."""
