"""Writes facts to the kernel, and waits until packets pass."""
