"""Without a lab: each module has the verb of its name."""
