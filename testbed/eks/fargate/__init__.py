"""Pods on Fargate: which ones, where their network interfaces are, and what is in their VMs."""
