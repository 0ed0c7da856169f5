"""The machine that labs run on: what it has, its limits, mounts and processes."""
