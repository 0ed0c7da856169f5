"""What one namespace does with a packet: from where it comes in, or is made, to its leaving."""
