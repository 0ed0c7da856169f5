"""A testbed for Amazon EKS and kops networking, made of Linux network namespaces."""

__version__ = "0.1.0"
