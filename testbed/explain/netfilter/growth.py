"""A new edge of a graph of decisions: rule by rule, until something else has to be looked at."""

from dataclasses import replace
from typing import Any, Literal

from testbed.explain import fabric
from testbed.explain.journey import NetfilterStep, Step
from testbed.explain.netfilter.chains import CompiledChain, CompiledRule
from testbed.explain.netfilter.conditions import Action, Continue, Jump, Lookup, Reject, Verdict
from testbed.explain.netfilter.graph import Dropped, Edge, Graph, Node, Unknown
from testbed.explain.netfilter.nft.actions import verdict
from testbed.explain.netfilter.passage import effects, value_of
from testbed.explain.packet import Packet


class Growth:
    """A new edge of a node (state: the steps so far, and where they led)."""

    def __init__(self, graph: Graph, node: Node, packet: Packet) -> None:
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
