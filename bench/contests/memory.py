"""What a pod more takes of memory, told apart from what a node more takes."""

from dataclasses import dataclass
from typing import NamedTuple

from bench.contests import Progress, Reading, Readings, Size
from bench.rounds import Results, interleaved, kernel_floor, python


class Shape(NamedTuple):
    """So many nodes with so many pods each."""

    nodes: int
    on_node: int

    def __str__(self) -> str:
        """`100x30`."""
        return f"{self.nodes}x{self.on_node}"

    @property
    def pods(self) -> int:
        """All of them."""
        return self.nodes * self.on_node


@dataclass(frozen=True)
class Cost:
    """KiB, each the difference of two labs, so that what is always there is not in it."""

    pod: float  # one more on the same nodes
    node: float  # one more, without its pods
    both: float  # a pod more with its part of a node more


def memory(size: Size, progress: Progress) -> Readings:
    """Three labs: as many nodes with half of the pods, and fewer nodes with as many pods.

    Half of them still take all ENIs that the node's type has room for.
    """
    large = Shape(size.nodes, size.pods_on_node)
    emptier = Shape(size.nodes, size.pods_on_node // 2)
    fewer = Shape(max(1, size.nodes // 5), size.pods_on_node)
    contenders = {}
    for shape in (large, emptier, fewer):
        contenders[f"lab {shape}"] = python("bench.runs.memory", *shape)
        contenders[f"floor {shape}"] = kernel_floor(shape.pods, shape.on_node)
    found = interleaved(contenders, size.memory_rounds, progress)
    ours, by_c, processes = (
        cost(found, who, number, (large, emptier, fewer))
        for who, number in (("lab", "kernel_kib"), ("floor", "kernel_kib"), ("lab", "user_kib"))
    )
    yield Reading("kernel-memory", ours.pod, f"C {by_c.pod:.0f} KiB; {_node(ours, by_c)}")
    yield Reading("user-memory", processes.both)


def _node(ours: Cost, by_c: Cost) -> str:
    return (
        f"a node's own {ours.node:.0f} KiB, C {by_c.node:.0f} KiB; "
        f"with its part of a node {ours.both:.0f} KiB, C {by_c.both:.0f} KiB"
    )


def cost(found: Results, who: str, number: str, shapes: tuple[Shape, Shape, Shape]) -> Cost:
    """What follows for a contender: shapes are the largest, one with fewer pods, fewer nodes."""
    large, emptier, fewer = shapes
    kib = {shape: found.median(f"{who} {shape}", number) for shape in shapes}
    pod, both = ((kib[large] - kib[less]) / (large.pods - less.pods) for less in (emptier, fewer))
    return Cost(pod, (both - pod) * large.on_node, both)
