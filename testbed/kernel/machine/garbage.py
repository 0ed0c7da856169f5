"""How often Python looks for garbage in this process."""

import gc

# Facts, and nearly all else, go by their counts.  To look for cycles among a large lab's at each
# 700 new objects, as is Python's way, takes a fifth of `up`.
COLLECT_AFTER = 200_000  # objects


def collect_rarely() -> None:
    """Let this process, and those it forks, look for cycles now and then only."""
    gc.set_threshold(COLLECT_AFTER)
