"""What a lab serves, as values: endpoints, instance metadata, real programs."""
