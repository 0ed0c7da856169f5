"""A namespace's rule sets as packets meet them: hooks by priority, conntrack, NAT."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from testbed.explain.netfilter.conntrack import translate
from testbed.explain.netfilter.decisions import Decisions
from testbed.explain.netfilter.hooks import CONNTRACK, NAT, BaseChain, base_chain
from testbed.explain.netfilter.passage import Passage
from testbed.explain.netfilter.tables import RuleTable, rule_tables
from testbed.explain.packet import Packet
from testbed.explain.routing.policy import Routing
from testbed.net.facts import Chain, Fact
from testbed.net.netfilter.iptables import BUILT_IN

FIRST, LAST = -(1 << 31), 1 << 31
TRACKED = ("prerouting", "output")  # where conntrack meets a packet first
COMING = ("prerouting", "input", "forward", "postrouting")  # the hooks of what came in
CONFIRMED = ("input", "postrouting")  # and where it has got through
_SIDES = {
    "prerouting": "destination",
    "output": "destination",
    "input": "source",
    "postrouting": "source",
}
_FAMILIES = {"iptables": "ip", "inet": "ip"}
_DEVICE_HOOKS = ("ingress", "egress")
_LEADS_TO = re.compile(r"(?:^| )(?:-j|-g) (\S+)")
_USES_CONNTRACK = re.compile(r"\bct |-m (?:conntrack|connmark|state) |-j CONNMARK ")

Order = tuple[int, bool]
Run = Callable[[Passage], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """Something that happens to packets in a hook.

    reroutes: what, when it was changed, makes the kernel look up the route of an own packet again.
    """

    order: Order
    run: Run
    reroutes: Callable[[Packet], object] | None = None


def _track(passage: Passage) -> None:
    passage.tracking.track(passage.ns, passage.packet, passage.happens)


def _confirm(passage: Passage) -> None:
    """The packet got through: from now on errors about it are understood."""
    if passage.packet.connection is not None:
        passage.packet.connection.confirmed = True


def _destination(packet: Packet) -> object:
    return packet.destination


def _all_that_routes(packet: Packet) -> object:
    return packet.source, packet.destination, packet.mark


class Netfilter:
    """The rule sets of one namespace (state: what was compiled so far).

    hooks: what happens in each, in order; each takes a passage and raises Filtered, NotPredicted.
    tracks: whether conntrack is among it.
    """

    def __init__(self, facts: Iterable[Fact], routing: Routing) -> None:
        self._tables = rule_tables(facts, routing)
        bases = [
            (base, table)
            for table in self._tables.values()
            for fact in table.facts.values()
            if (base := base_chain(fact)) is not None
        ]
        self._bases = bases
        self.on_devices = any(base.hook in _DEVICE_HOOKS for base, _ in bases)
        self._stages: dict[str, list[Stage]] = {}
        for base, table in bases:
            if base.kind != "nat":
                self._add(base, table)
        self.tracks = self._add_conntrack(bases)
        for stages in self._stages.values():
            stages.sort(key=lambda stage: stage.order)
        self.hooks: Mapping[str, list[Run]] = {
            hook: [stage.run for stage in stages] for hook, stages in self._stages.items()
        }

    def pass_output(self, passage: Passage, reroute: Callable[[], None]) -> None:
        """Take an own packet through `ip output`.  Raises Filtered, NotPredicted.

        reroute: called when something changed on which its route depends.
        """
        for stage in self._stages.get("ip output", ()):
            if stage.reroutes is None:
                stage.run(passage)
                continue
            before = stage.reroutes(passage.packet)
            stage.run(passage)
            if stage.reroutes(passage.packet) != before:
                reroute()

    def _add(self, base: BaseChain, table: RuleTable) -> None:
        family = _FAMILIES.get(base.family, base.family)
        reroutes = _all_that_routes if base.kind == "route" else None
        stage = Stage(base.order, Decisions(base, table).take, reroutes)
        self._stages.setdefault(f"{family} {base.hook}", []).append(stage)

    def _add_conntrack(self, bases: list[tuple[BaseChain, RuleTable]]) -> bool:
        """Conntrack where a rule asks for it; with any nat chain NAT in all four hooks."""
        nat = [one for one in bases if one[0].kind == "nat"]
        if not nat and not self._asks_conntrack():
            return False
        for hook in TRACKED:
            stage = Stage((CONNTRACK, False), _track)
            self._stages.setdefault(f"ip {hook}", []).append(stage)
        for hook in CONFIRMED:
            stage = Stage((LAST, False), _confirm)
            self._stages.setdefault(f"ip {hook}", []).append(stage)
        for hook, priority in NAT.items() if nat else ():
            stage = Stage((priority, False), _nat(hook, nat), _destination)
            self._stages.setdefault(f"ip {hook}", []).append(stage)
        return True

    def reads(self, *, made_here: bool) -> frozenset[str]:
        """The attributes of IPv4 packets that rules look at: of those made here, or come in."""
        hooks = ("output", "postrouting") if made_here else COMING
        return frozenset().union(
            *(table.reads(base.name) for base, table in self._bases if base.hook in hooks)
        )

    @cached_property
    def inner(self) -> frozenset[str]:
        """iptables' chains that no base chain leads to at once: the thousands of a Service's."""
        chains = [
            fact
            for table in self._tables.values()
            for fact in table.facts.values()
            if isinstance(fact, Chain)
        ]
        near = {
            match[1]
            for fact in chains
            if fact.name in BUILT_IN
            for rule in fact.rules
            if (match := _LEADS_TO.search(rule.text)) is not None
        }
        return frozenset(fact.name for fact in chains) - BUILT_IN - near

    def _asks_conntrack(self) -> bool:
        return any(
            _USES_CONNTRACK.search(rule.text)
            for table in self._tables.values()
            for fact in table.facts.values()
            for rule in fact.rules
        )


def _nat(hook: str, nat: Iterable[tuple[BaseChain, RuleTable]]) -> Run:
    """Chains are asked for the first packet of a connection only, until one translates."""
    side = _SIDES[hook]
    hooked = sorted((one for one in nat if one[0].hook == hook), key=lambda one: one[0].order)
    chains = [Decisions(base, table) for base, table in hooked]

    def enter(passage: Passage) -> None:
        packet = passage.packet
        connection = packet.connection
        if connection is None:
            return
        if packet.state == "new" and side not in connection.initialized:
            for chain in chains:
                chain.take(passage)
                if side in connection.initialized:
                    break
            connection.initialized |= {side}
        translate(packet, side)

    return enter
