"""The contests: each runs its contenders and gives the figures that follow."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Reading:
    """A figure's value, the raw numbers behind it in words, and those to be drawn.

    us_per_pod: by contender, each with a number of pods.
    """

    name: str
    value: float
    detail: str = ""
    us_per_pod: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    name: str
    rounds: int
    short_rounds: int  # of what takes a few seconds: there are more, for chance is larger there
    pods: int  # wired beside the floor
    grown: tuple[int, ...]  # numbers of pods; growth is from the second to the last
    peer_pods: int
    memory_rounds: int
    nodes: int  # of the cluster
    pods_on_node: int
    ruled: int  # namespaces with rules
    named: int  # pods with names, for `ip netns exec`
    probed: tuple[int, int]  # nodes, and pods on each
    pinged: int  # Mininet's hosts, and as many pods
    rules: int
    sending: tuple[float, int]  # seconds, and how often in a run
    predicted: tuple[int, int]
    thousands: int  # nodes of the largest lab
    rendered: tuple[int, int]  # Services, and endpoints of each


Readings = Iterator[Reading]
Contest = Callable[[Size, Progress], Readings]

FULL = Size(
    "full",
    rounds=3,
    short_rounds=7,
    pods=1000,
    grown=(100, 300, 1000, 3000),
    peer_pods=300,
    memory_rounds=2,
    nodes=100,
    pods_on_node=30,
    ruled=100,
    named=3000,
    probed=(4, 25),
    pinged=40,
    rules=200,
    sending=(0.1, 15),
    predicted=(10, 30),
    thousands=334,
    rendered=(1000, 10),
)
QUICK = Size(
    "quick",
    rounds=2,
    short_rounds=5,
    pods=300,
    grown=(30, 100, 300),
    peer_pods=100,
    memory_rounds=1,
    nodes=10,
    pods_on_node=30,
    ruled=50,
    named=1000,
    probed=(2, 20),
    pinged=20,
    rules=200,
    sending=(0.05, 10),
    predicted=(2, 20),
    thousands=12,
    rendered=(1000, 10),
)
TINY = Size(
    "tiny",
    rounds=1,
    short_rounds=1,
    pods=6,
    grown=(2, 3, 6),
    peer_pods=3,
    memory_rounds=1,
    nodes=2,
    pods_on_node=3,
    ruled=3,
    named=3,
    probed=(2, 2),
    pinged=4,
    rules=8,
    sending=(0.02, 1),
    predicted=(2, 2),
    thousands=3,
    rendered=(3, 2),
)
