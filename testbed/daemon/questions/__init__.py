"""Questions about packets: what becomes of one, of all pairs, and who sees whom."""
