"""A namespace's facts, indexed: what a prediction looks up, and which addresses it tells apart."""
