"""The network as values: facts about the kernel, their names, order, difference and print."""
