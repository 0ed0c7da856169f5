"""What a node and its pods have in the kernel: by kubenet with cbr0, or by the plugin ptp."""
