"""What happens to a packet, told from facts alone: no socket, no kernel."""
