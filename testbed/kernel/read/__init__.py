"""Reads facts back from the kernel, compares them with a plan, and asks it for routes."""
