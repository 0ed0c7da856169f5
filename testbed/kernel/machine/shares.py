"""Computing shared out to the machine's processors, in children that do nothing else."""

import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from testbed.kernel.machine.scratch import in_child

Item = TypeVar("Item")
Result = TypeVar("Result")

PATIENCE_S = 3600.0  # a child computes as long as it has to
PORTIONS = 1024  # at most: their numbers fit into any pipe, pipe(7)
NUMBER = "H"  # of two bytes


def shared_out(
    work: Callable[[Iterator[Item]], Result],
    items: Sequence[Item],
    weight: Callable[[Item], float] = lambda item: 1.0,
) -> list[Result]:
    """What `work` returns of the items it was given: for each processor we may use.

    Whoever is done with an item is given the next, so that all end at about the same time.
    weight: how long an item takes beside others.  The heaviest go first.
    What `work` raises is raised here.
    """
    ordered = sorted(items, key=weight, reverse=True)
    processors = min(len(os.sched_getaffinity(0)), len(ordered))
    if processors < 2:
        return [work(iter(ordered))] if ordered else []
    with _given_out(ordered) as given, ThreadPoolExecutor(processors) as waiting:
        return list(
            waiting.map(
                lambda _: in_child(lambda: work(given), timeout_s=PATIENCE_S), range(processors)
            )
        )


@contextmanager
def _given_out(items: Sequence[Item]) -> Iterator[Iterator[Item]]:
    """The items for children that are forked meanwhile: each has its own, until none is left.

    What is in a pipe is read once, whoever reads it.
    """
    reader, writer = os.pipe()
    try:
        os.write(writer, array(NUMBER, range(min(PORTIONS, len(items)))).tobytes())
        os.close(writer)
        yield _taken(reader, items)
    finally:
        os.close(reader)


def _taken(reader: int, items: Sequence[Item]) -> Iterator[Item]:
    while number := os.read(reader, array(NUMBER).itemsize):
        yield from items[array(NUMBER, number)[0] :: PORTIONS]
