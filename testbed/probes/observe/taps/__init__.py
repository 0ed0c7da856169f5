"""Packet taps in each namespace, and when what they saw was."""
