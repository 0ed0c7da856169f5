"""Real programs inside namespaces: run or served, with the files that they find."""
