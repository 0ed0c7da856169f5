"""Computing shared out to the machine's processors, in children that do nothing else."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from testbed.kernel.machine.scratch import in_child

Item = TypeVar("Item")
Result = TypeVar("Result")

PATIENCE_S = 3600.0  # a child computes as long as it has to


def shared_out(work: Callable[[Sequence[Item]], Result], items: Sequence[Item]) -> list[Result]:
    """What `work` returns for each share of the items: a share for each processor we may use.

    The shares go round: the first one has the first item, the second one the second.  What `work`
    raises is raised here.
    """
    processors = len(os.sched_getaffinity(0))
    shares = [items[start::processors] for start in range(min(processors, len(items)))]
    if len(shares) < 2:
        return [work(share) for share in shares]

    def compute(share: Sequence[Item]) -> Result:
        return in_child(lambda: work(share), timeout_s=PATIENCE_S)

    with ThreadPoolExecutor(len(shares)) as waiting:
        return list(waiting.map(compute, shares))
