"""The contests: each runs its contenders and gives the figures that follow."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Reading:
    """A figure's value, and the raw numbers behind it in words."""

    name: str
    value: float
    detail: str = ""


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    name: str
    rounds: int
    pods: int  # wired beside the floor
    grown: tuple[int, int]  # between these numbers of pods growth is measured
    peer_pods: int
    nodes: int  # of the cluster, and thirty pods on each
    pods_on_node: int = 30


Readings = Iterator[Reading]
Contest = Callable[[Size, Progress], Readings]

FULL = Size("full", rounds=5, pods=1000, grown=(300, 3000), peer_pods=100, nodes=100)
QUICK = Size("quick", rounds=3, pods=300, grown=(100, 300), peer_pods=30, nodes=10)
TINY = Size("tiny", rounds=1, pods=6, grown=(3, 6), peer_pods=3, nodes=2, pods_on_node=3)
