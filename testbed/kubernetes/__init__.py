"""Kubernetes as both kinds of cluster share it: nodes, pods, their ports, scheduling."""
