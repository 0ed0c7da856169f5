"""What is sent and followed: a probe that can be told from all others, and its first data."""
