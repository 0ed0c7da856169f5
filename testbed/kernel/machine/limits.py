"""Limits of this process."""

import resource


def raise_descriptor_limit() -> int:
    """Allow as many open descriptors as the hard limit does, and return that number.

    A lab needs one for each namespace and each served port; a stock Debian starts with 1,024.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
