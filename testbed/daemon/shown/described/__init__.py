"""What `describe` shows: one object with all that belongs to it.  Pure."""
