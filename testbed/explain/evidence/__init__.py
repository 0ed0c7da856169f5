"""What witnesses saw of a real packet, brought together into what became of it."""
