"""The same pods wired in different ways; each module has one `build`."""
