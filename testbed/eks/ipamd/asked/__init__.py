"""ipamD asked with JSON: a state in, its decisions out."""
