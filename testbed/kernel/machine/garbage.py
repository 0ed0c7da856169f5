"""How often Python looks for garbage in this process."""

import gc

# Facts, and nearly all else, go by their counts.  To look for cycles among a large lab's at each
# 700 new objects, as is Python's way, takes a fifth of `up`.
COLLECT_AFTER = 500_000  # objects: more than `up` of 3,000 pods has to do with


def collect_rarely() -> None:
    """Let this process, and those it forks, look for cycles now and then only."""
    gc.set_threshold(COLLECT_AFTER)


def collect_no_more() -> None:
    """For a process that is about to end: Python would look for cycles among all that it has.

    That takes 0.15 s where a large lab was read, and nothing is gained by it.
    """
    gc.freeze()
