"""The way of packets through a base chain, as a graph of decisions that grows while it is asked.

Most packets take ways that others took before.  A node is a test of a rule; its edges are
labelled with what the packet has in the attributes that this test looks at, and hold the steps up
to the next test that looks at others.  So a packet costs a look-up for each decision: one for all
the thousand destinations of KUBE-SERVICES.
"""

from dataclasses import replace

from testbed.explain.journey import NetfilterStep
from testbed.explain.netfilter.chains import CompiledChain
from testbed.explain.netfilter.graph import (
    Dropped,
    Edge,
    Node,
    Position,
    Unknown,
    fields_of,
    reader,
)
from testbed.explain.netfilter.growth import Growth
from testbed.explain.netfilter.hooks import BaseChain
from testbed.explain.netfilter.matching import Key
from testbed.explain.netfilter.passage import Filtered, NotPredicted, Passage
from testbed.explain.netfilter.tables import RuleTable
from testbed.explain.packet import Packet

MOST_REMEMBERED = 1 << 14  # edges of one node; then it forgets them all


class Decisions:
    """The graph of one base chain (state: as far as it has grown)."""

    def __init__(self, base: BaseChain, table: RuleTable) -> None:
        self._base = base
        self._table = table
        self._places: dict[tuple[str, Position, bool], Node] = {}
        self._roots: dict[str, Node] = {}

    def take(self, passage: Passage) -> None:
        """Take a packet through the base chain.  Raises Filtered, NotPredicted."""
        packet, steps = passage.packet, passage.steps
        node: Node | None = self._roots.get(packet.ethertype) or self._start(packet.ethertype)
        while node is not None:
            key = _drawn(passage, node.chances) if node.chances else node.read(packet)
            edge = node.edges.get(key)
            if edge is None:
                edge = self._grow(node, key, packet)
            before, step, doing, after, node, ended = edge
            steps += before
            if step is not None:
                said = ""
                for effect in doing:
                    said = effect(passage) or said
                steps.append(replace(step, verdict=said) if said else step)
                steps += after
            if ended is not None:
                _raise(ended)

    def _start(self, ethertype: str) -> Node:
        chain = self._table.chain(self._base.name)
        assert chain is not None  # the base chain is one of the table's
        found = self._roots[ethertype] = self.place(ethertype, ((chain, 0, 0),))
        return found

    def place(self, ethertype: str, position: Position, chances: tuple[float, ...] = ()) -> Node:
        """The node of a place.  chances: of its rule, about which nothing else decides."""
        key = ethertype, position, bool(chances)
        found = self._places.get(key)
        if found is None:
            asked = frozenset() if chances else fields_of(position) - {"ethertype"}
            found = Node(ethertype, position, asked | {"ethertype"}, reader(asked), chances)
            self._places[key] = found
        return found

    def chain(self, name: str) -> CompiledChain | None:
        """A chain of the same table."""
        return self._table.chain(name)

    def _grow(self, node: Node, key: Key, packet: Packet) -> Edge:
        if len(node.edges) >= MOST_REMEMBERED:
            node.edges.clear()
        growth = Growth(self, node, packet)
        edge = node.edges[key] = growth.drawn(key) if node.chances else growth.follow()
        return edge

    def policy(self) -> NetfilterStep | None:
        """The policy's step where it drops."""
        if self._base.policy != "drop":
            return None
        family = "ip" if self._base.family == "iptables" else self._base.family
        return NetfilterStep(
            family=family,
            table=self._base.table,
            chain=self._base.name,
            rule="policy drop",
            verdict="drop",
        )


def _drawn(passage: Passage, chances: tuple[float, ...]) -> int:
    passage.is_single = True
    return passage.draw(chances)


def _raise(ended: Dropped | Unknown) -> None:
    if isinstance(ended, Dropped):
        raise Filtered(ended.step, ended.reject)
    raise NotPredicted(ended.what)
