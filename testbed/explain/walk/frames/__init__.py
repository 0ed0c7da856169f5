"""Who gets a frame, and what bridges and the sizes of devices do to it."""
