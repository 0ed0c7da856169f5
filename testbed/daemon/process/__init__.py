"""A lab's processes and files: the holder, the daemon, and how to talk to it."""
