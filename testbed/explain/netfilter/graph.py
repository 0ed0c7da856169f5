"""The nodes and edges of a graph of decisions, and what it is asked while it grows."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple, Protocol

from testbed.explain.journey import NetfilterStep, Step
from testbed.explain.netfilter.chains import CompiledChain
from testbed.explain.netfilter.matching import Key
from testbed.explain.netfilter.passage import Effect
from testbed.explain.packet import Packet

# Chains under way, the innermost last: each with the place of the next rule, and of that rule's
# next test.
Position = tuple[tuple[CompiledChain, int, int], ...]


@dataclass(slots=True)
class Node:
    """A place in the rules (state: the ways that were found from there).

    ethertype: of the packets that come here; IPv4 and ARP never meet in one graph.
    fields: what decides here, or is known.  chances: of a random choice, which then decides.
    """

    ethertype: str
    position: Position
    fields: frozenset[str]
    read: Callable[[Packet], Key]
    chances: tuple[float, ...] = ()
    edges: dict[Key, "Edge"] = field(default_factory=dict)


class Edge(NamedTuple):
    """The steps to the next decision.

    effects: what a rule then does to the packet, the rule being `step`.  after: the steps behind
    that.  node: where it goes on; None at the end.  ended: how the packet ended there; None where
    it was accepted.
    """

    steps: tuple[Step, ...]
    step: NetfilterStep | None = None
    effects: tuple[Effect, ...] = ()
    after: tuple[Step, ...] = ()
    node: "Node | None" = None
    ended: "Dropped | Unknown | None" = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """By a rule or a policy."""

    step: NetfilterStep
    reject: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something is not understood."""

    what: str


class Graph(Protocol):
    """The graph of one base chain, as an edge that grows asks it."""

    def place(self, ethertype: str, position: Position, chances: tuple[float, ...] = ()) -> Node:
        """The node of a place.  chances: of its rule, about which nothing else decides."""

    def chain(self, name: str) -> CompiledChain | None:
        """A chain of the same table."""

    def policy(self) -> NetfilterStep | None:
        """The policy's step where it drops."""


def fields_of(position: Position) -> frozenset[str]:
    """What the next test looks at; nothing at the end of a chain, or behind a rule's last test."""
    if not position:
        return frozenset()
    chain, place, number = position[-1]
    tests = chain.rules[place].tests if place < len(chain.rules) else ()
    return tests[number][0] if number < len(tests) else frozenset()


def reader(fields: Iterable[str]) -> Callable[[Packet], Key]:
    """What reads these attributes of a packet."""
    names = sorted(fields)
    return attrgetter(*names) if names else _nothing


def _nothing(_: Packet) -> Key:
    return None
