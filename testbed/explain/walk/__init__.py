"""Prediction: a packet goes from namespace to namespace, through facts alone."""
