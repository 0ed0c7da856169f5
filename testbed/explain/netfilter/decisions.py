"""The way of packets through a base chain, as a graph of decisions that grows while it is asked.

Most packets take ways that others took before.  A node is a test of a rule; its edges are
labelled with what the packet has in the attributes that this test looks at, and hold the steps up
to the next test that looks at others.  So a packet costs a look-up for each decision: one for all
the thousand destinations of KUBE-SERVICES.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from testbed.explain import fabric
from testbed.explain.journey import NetfilterStep, Step
from testbed.explain.netfilter.chains import CompiledChain, CompiledRule
from testbed.explain.netfilter.conditions import Action, Continue, Jump, Lookup, Reject, Verdict
from testbed.explain.netfilter.hooks import BaseChain
from testbed.explain.netfilter.matching import Key
from testbed.explain.netfilter.nft_actions import verdict
from testbed.explain.netfilter.passage import (
    Effect,
    Filtered,
    NotPredicted,
    Passage,
    effects,
    value_of,
)
from testbed.explain.netfilter.tables import RuleTable
from testbed.explain.packet import Packet

MOST_REMEMBERED = 1 << 14  # edges of one node; then it forgets them all

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
            asked = frozenset() if chances else _fields(position) - {"ethertype"}
            found = Node(ethertype, position, asked | {"ethertype"}, _reader(asked), chances)
            self._places[key] = found
        return found

    def chain(self, name: str) -> CompiledChain | None:
        """A chain of the same table."""
        return self._table.chain(name)

    def _grow(self, node: Node, key: Key, packet: Packet) -> Edge:
        if len(node.edges) >= MOST_REMEMBERED:
            node.edges.clear()
        growth = _Growth(self, node, packet)
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


def _fields(position: Position) -> frozenset[str]:
    """What the next test looks at; nothing at the end of a chain, or behind a rule's last test."""
    if not position:
        return frozenset()
    chain, place, number = position[-1]
    tests = chain.rules[place].tests if place < len(chain.rules) else ()
    return tests[number][0] if number < len(tests) else frozenset()


def _reader(fields: Iterable[str]) -> Callable[[Packet], Key]:
    names = sorted(fields)
    return attrgetter(*names) if names else _nothing


def _nothing(_: Packet) -> Key:
    return None


class _Growth:
    """A new edge of a node (state: the steps so far, and where they led)."""

    def __init__(self, graph: Decisions, node: Node, packet: Packet) -> None:
        self._graph = graph
        self._packet = packet
        self._known = node.fields
        self._ethertype = node.ethertype
        self._stack = list(node.position)
        self._steps: list[Step] = []
        self._before: tuple[Step, ...] = ()  # the steps before a change
        self._changing: CompiledRule | None = None

    def follow(self) -> Edge:
        """Test by test until one looks at something else than the node's attributes."""
        while self._stack:
            chain, place, number = self._stack.pop()
            if place == len(chain.rules):
                continue
            tests = chain.rules[place].tests
            while number < len(tests) and tests[number][0] <= self._known:
                if not tests[number][1](self._packet):
                    break
                number += 1
            else:
                if number < len(tests):
                    self._stack.append((chain, place, number))
                    return self._edge(self._place())
                edge = self._meet(chain, place)
                if edge is not None:
                    return edge
                continue
            self._stack.append((chain, place + 1, 0))
        return self._at_the_end()

    def drawn(self, number: int) -> Edge:
        """Chance has decided about the node's rule: 0 takes, 1 leaves; or it drew a number."""
        chain, place, _ = self._stack.pop()
        rule = chain.rules[place]
        draws = isinstance(rule.final, Lookup)
        text = _text(rule, number) if draws else ""
        if text or (not draws and number == 0):
            return self._take(chain, place, text) or self.follow()
        self._stack.append((chain, place + 1, 0))
        return self.follow()

    def _meet(self, chain: CompiledChain, place: int) -> Edge | None:
        """An edge that ends at this rule; None where it goes on."""
        rule = chain.rules[place]
        if rule.unknown:
            return self._edge(ended=Unknown(rule.unknown))
        if rule.chances:
            self._stack.append((chain, place, 0))
            return self._edge(self._place(rule.chances))
        return self._take(chain, place, _text(rule, self._packet) if _is_lookup(rule) else "")

    def _take(self, chain: CompiledChain, place: int, text: str) -> Edge | None:
        """text: the verdict that a map has; empty for the rule's own.

        Behind a change nothing is known any more; and there is one at most on an edge.
        """
        rule = chain.rules[place]
        final = verdict(text) if text else rule.final
        step = replace(rule.step, verdict=text) if text else rule.step
        if rule.changes:
            if self._changing is not None:
                self._stack.append((chain, place, len(rule.tests)))
                return self._edge(self._place())
            self._changing, self._known = rule, frozenset({"ethertype"})
            self._before, self._steps = tuple(self._steps), []
        else:
            self._note(rule, step)
        outcome = self._go_on(final, chain, place, step)
        if outcome == "on":
            return None
        return self._edge(ended=None if outcome == "accepted" else outcome)

    def _go_on(
        self, final: Action, chain: CompiledChain, place: int, step: NetfilterStep
    ) -> Dropped | Unknown | Literal["accepted", "on"]:
        """Where a rule sends the packet."""
        match final:
            case Verdict("accept"):
                return "accepted"
            case Verdict("drop"):
                return Dropped(step)
            case Reject(kind):
                return Dropped(step, kind)
            case Continue() | Jump(goto=False):
                self._stack.append((chain, place + 1, 0))
        if isinstance(final, Jump):
            target = self._graph.chain(final.chain)
            if target is None:
                return Unknown(f"target {final.chain}")
            self._stack.append((target, 0, 0))
        return "on"

    def _note(self, rule: CompiledRule, step: NetfilterStep) -> None:
        self._steps.append(step)
        if rule.fabric:
            element = rule.element(self._packet) if rule.element else None
            self._steps.append(fabric.check(rule.fabric, element, rule.step.why))

    def _at_the_end(self) -> Edge:
        """All rules were passed: the policy decides."""
        policy = self._graph.policy()
        if policy is None:
            return self._edge()
        self._steps.append(policy)
        return self._edge(ended=Dropped(policy))

    def _place(self, chances: tuple[float, ...] = ()) -> Node:
        return self._graph.place(self._ethertype, tuple(self._stack), chances)

    def _edge(self, node: Node | None = None, ended: Dropped | Unknown | None = None) -> Edge:
        steps = tuple(self._steps)
        if self._changing is None:
            return Edge(steps, node=node, ended=ended)
        rule = self._changing
        return Edge(self._before, rule.step, effects(rule), steps, node, ended)


def _is_lookup(rule: CompiledRule) -> bool:
    return isinstance(rule.final, Lookup) and not rule.final.draw


def _text(rule: CompiledRule, key: Any) -> str:
    """What the rule's map has; empty for nothing."""
    entry = rule.mapped(key) if rule.mapped else None
    return value_of(entry) if entry is not None else ""
