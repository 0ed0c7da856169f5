"""What kernels and programs of a lab say when they are asked; no packet is sent."""
