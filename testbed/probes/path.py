"""The way of a packet, as each kernel on it answers when asked for its route; nothing is sent.

Rules and routes are the kernels' own; links, the VPC's checks and translations are the plan's.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from testbed.explain.crossing import Crossings, Dropped, Packet
from testbed.explain.evidence.planned import Planned
from testbed.explain.filters import Filters
from testbed.explain.gates import Gates
from testbed.explain.translate import Translations
from testbed.explain.walk.incoming import blackhole_code
from testbed.kernel.namespaces import NamespaceStore
from testbed.kernel.observe import observe
from testbed.kernel.route import RouteAnswer, route_get
from testbed.net.facts import Address, BridgePort, Fact, IpAddress, Route, Rule, State
from testbed.net.rules import leading_to
from testbed.net.show import show, table_name

MOST_HOPS = 32

# What a kernel's answer without a next hop means: a reason code, and its sentence.
REFUSALS = {
    "none": ("NO_ROUTE_TO_DESTINATION", "no route"),
    "unreachable": ("NO_ROUTE_TO_DESTINATION", "its route is unreachable"),
    "prohibit": ("NO_ROUTE_TO_DESTINATION", "its route is prohibit"),
    "blackhole": ("X_NO_MAPPING", "its route is a blackhole"),
    "dropped": ("X_NO_MAPPING", "a blackhole, or the reverse path check"),
    "martian": ("X_HOST", "the reverse path check refuses the source"),
    "multicast": ("X_NO_MAPPING", "a VPC carries no multicast"),
    "broadcast": ("X_NO_MAPPING", "a VPC carries no broadcast"),
}


@dataclass(frozen=True)
class Hop:
    """One namespace on the way: what its kernel decided, and why the fact behind it exists."""

    ns: str
    dev: str
    rule: str
    table: str
    route: str
    source: str
    mark: str
    why: str


@dataclass(frozen=True)
class Path:
    """The hops, and how it ended."""

    hops: tuple[Hop, ...]
    delivered: bool
    verdict: str
    code: str = ""

    def to_json(self) -> Any:
        """The path as JSON values."""
        return asdict(self)


def path(store: NamespaceStore, plan: State, start: str, destination: IpAddress) -> Path:
    """The way from a namespace to an address, and whether it arrives.

    Security groups and network ACLs are asked for an echo request that nobody waits for.
    """
    crossings, translations, gates = Crossings(plan), Translations(plan), Gates(plan)
    planned = Planned(plan)
    filters = Filters(plan)
    packet = Packet(start, destination)
    hops: list[Hop] = []
    while len(hops) < MOST_HOPS:
        packet = replace(
            packet,
            destination=translations.destination(packet.ns, packet.destination),
            mark=packet.mark | translations.mark(packet.ns, packet.iif, packet.destination),
        )
        answer = route_get(
            store,
            packet.ns,
            packet.destination,
            src=packet.source,
            iif=packet.iif,
            mark=packet.mark,
        )
        hops.append(_hop(store, plan, packet, answer))
        refused = gates.refusal(packet, local=answer.kind == "local")
        if refused:
            return Path(tuple(hops), delivered=False, verdict=str(refused), code=refused.code)
        if answer.kind == "local":
            return Path(tuple(hops), delivered=True, verdict="delivered")
        if answer.kind != "unicast":
            code, text = _refusal(planned, packet, answer)
            verdict = f"dropped in {packet.ns}: {text} ({code})"
            return Path(tuple(hops), delivered=False, verdict=verdict, code=code)
        own = _own_address(plan, packet.ns, answer.dev)
        source = answer.src or own
        if packet.source:
            source = translations.source(packet.ns, packet.source, packet.destination, own)
        sent = replace(packet, source=source)
        hop = answer.dev, answer.via or packet.destination
        step = filters.refusal(packet, *hop) or crossings.leave(sent, *hop)
        if isinstance(step, Dropped):
            return Path(tuple(hops), delivered=False, verdict=str(step), code=step.code)
        if step.switched:
            hops.append(_switched(step.switched, step))
        packet = step
    return Path(tuple(hops), delivered=False, verdict=f"a loop of {MOST_HOPS} hops", code="X_LOOP")


def _refusal(planned: Planned, packet: Packet, answer: RouteAnswer) -> tuple[str, str]:
    """A reason code and its sentence; the kernel does not say of which table a blackhole is."""
    if answer.kind in ("blackhole", "dropped") and packet.source:
        decision = planned.place(packet.ns).space.routing.decide(
            int(packet.source), int(packet.destination), packet.iif, packet.mark
        )
        if decision.kind == "blackhole":
            return blackhole_code(decision), decision.step.why or "its route is a blackhole"
    return REFUSALS[answer.kind]


def _own_address(plan: State, ns: str, dev: str) -> IpAddress | None:
    """What a packet made here gets as its source where the route says nothing."""
    own = [fact for fact in plan if isinstance(fact, Address) and fact.ns == ns]
    here = [fact.ip.ip for fact in own if fact.dev == dev]
    # a node's end of a pod's veth has no address: Linux takes one of another device
    return min(here or [fact.ip.ip for fact in own], key=int, default=None)


def _hop(store: NamespaceStore, plan: State, packet: Packet, answer: RouteAnswer) -> Hop:
    rules = [fact for fact in observe(store, [packet.ns]).state if isinstance(fact, Rule)]
    rule = leading_to(
        answer.table,
        rules,
        packet.destination,
        source=packet.source,
        iif=packet.iif,
        mark=packet.mark,
    )
    reasons = {fact: fact.why for fact in plan if fact.ns == packet.ns}
    planned = next((fact for fact in plan if _is(fact, packet.ns, answer)), None)
    why = reasons.get(rule, "") if rule else ""
    return Hop(
        ns=packet.ns,
        dev=answer.dev,
        rule=show(rule).replace("\t", " ") if rule else "",
        table=table_name(answer.table) if answer.table else "",
        route=show(planned) if planned else _text(answer),
        source=str(packet.source or ""),
        mark=f"{packet.mark:#x}" if packet.mark else "",
        why=why or (planned.why if planned else ""),
    )


def _switched(port: BridgePort, packet: Packet) -> Hop:
    """A bridge between two kernels' routing: the packet leaves by a port, its TTL untouched."""
    return Hop(
        ns=port.ns,
        dev=port.dev,
        rule="",
        table="",
        route=f"bridge {port.bridge}",
        source=str(packet.source or ""),
        mark="",
        why=port.why,
    )


def _is(fact: Fact, ns: str, answer: RouteAnswer) -> bool:
    """Whether a planned fact is the route the kernel answered with."""
    return (
        isinstance(fact, Route)
        and (fact.ns, fact.table, fact.dst) == (ns, answer.table, answer.dst)
        and (fact.dev, fact.via) == (answer.dev, answer.via)
    )


def _text(answer: RouteAnswer) -> str:
    words = [answer.kind] if answer.kind != "unicast" else []
    words += [str(answer.dst)] if answer.dst else []
    words += ["via", str(answer.via)] if answer.via else []
    words += ["dev", answer.dev] if answer.dev else []
    return " ".join(words)
