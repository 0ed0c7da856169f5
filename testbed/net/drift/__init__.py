"""Two sets of facts compared: what differs, what mends it, and in which order."""
