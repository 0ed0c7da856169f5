"""Tests wait for what has to come, never for a time: a loaded machine is late, not wrong."""

import select
import time
from collections.abc import Callable

PATIENCE_S = 100.0  # no test is slow by it: it is over when the condition holds
LOOK_S = 0.02


def wait_until(condition: Callable[[], object], *, each_s: float = LOOK_S) -> None:
    """Until it is so.  each_s: between two looks."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        select.select([], [], [], each_s)
