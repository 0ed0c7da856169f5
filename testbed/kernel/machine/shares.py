"""Computing shared out to the machine's processors, in children that do nothing else."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from testbed.kernel.machine.scratch import in_child

Item = TypeVar("Item")
Result = TypeVar("Result")

PATIENCE_S = 3600.0  # a child computes as long as it has to


def shared_out(
    work: Callable[[Sequence[Item]], Result],
    items: Sequence[Item],
    weight: Callable[[Item], float] = lambda item: 1.0,
) -> list[Result]:
    """What `work` returns for each share of the items: a share for each processor we may use.

    weight: how long an item takes beside others.  The heaviest go first, each to who has least;
    like ones go round: the first share has the first item, the second one the second.
    What `work` raises is raised here.
    """
    shares = dealt(items, len(os.sched_getaffinity(0)), weight)
    if len(shares) < 2:
        return [work(share) for share in shares]

    def compute(share: Sequence[Item]) -> Result:
        return in_child(lambda: work(share), timeout_s=PATIENCE_S)

    with ThreadPoolExecutor(len(shares)) as waiting:
        return list(waiting.map(compute, shares))


def dealt(
    items: Sequence[Item], players: int, weight: Callable[[Item], float]
) -> list[list[Item]]:
    """Shares of about equal weight, none of them empty.  Pure."""
    shares: list[list[Item]] = [[] for _ in range(min(players, len(items)))]
    loads = [0.0] * len(shares)
    for item in sorted(items, key=weight, reverse=True):
        least = loads.index(min(loads))
        shares[least].append(item)
        loads[least] += weight(item)
    return shares
