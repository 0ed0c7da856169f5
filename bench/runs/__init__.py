"""Runs of contenders that are more than bare pods; each is a program that prints its numbers."""
