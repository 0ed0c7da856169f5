"""A lab's life: each module has the verb of its name."""
