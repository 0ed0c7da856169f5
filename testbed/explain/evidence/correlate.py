"""Witnesses brought together: taps, nft trace and kernels' answers become visits.  Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from testbed.explain import fabric
from testbed.explain.evidence.planned import Planned
from testbed.explain.evidence.sizes import too_narrow
from testbed.explain.evidence.spine import Stay, reroutes
from testbed.explain.evidence.witnesses import (
    LAST,
    Device,
    Flow,
    KernelRoute,
    Question,
    RuleName,
    Sighting,
    Traversal,
)
from testbed.explain.journey import (
    End,
    FabricStep,
    Header,
    NetfilterStep,
    RoutingStep,
    Step,
    Visit,
)
from testbed.explain.netfilter.passage import Filtered
from testbed.explain.packet import Packet
from testbed.explain.routing.decision import Decision
from testbed.explain.walk.ends import filtered_end
from testbed.explain.walk.facts.space import Space
from testbed.net.facts import IpAddress, Route, Rule
from testbed.net.rules import leading_to
from testbed.net.show import show, table_name

_SET = re.compile(r"@(\S+)")  # `iifname . ether saddr . ip saddr @assigned goto mapping`


@dataclass(frozen=True)
class Knowledge:
    """What was read of kernels and of the plan to understand the evidence.  mtus: in bytes.

    full: of namespaces where a packet ended and whose table of connections is full, their number.
    """

    routes: Mapping[Question, KernelRoute]
    texts: Mapping[RuleName, str]
    planned: Planned
    mtus: Mapping[Device, int] = field(default_factory=dict)  # read where a size was asked for
    full: Mapping[str, int] = field(default_factory=dict)


def visit(stay: Stay, known: Knowledge) -> Visit:
    """A stay as what became of the packet in it."""
    came, told, went = stay.came, stay.traversals, _went(stay, known)
    return Visit(
        ns=stay.ns,
        dev_in=came[0].dev if came else "",
        dev_out=went.dev if went else "",
        arrived=stay.arrived,
        left=went.header if went else None,
        mark_in=told[0].mark if told else 0,
        mark_out=told[-1].mark if told else 0,
        steps=tuple(_steps(stay, known)),
    )


def _went(stay: Stay, known: Knowledge) -> Sighting | None:
    """Where it went out.

    A bridge that sent it out of no port only tried to, and so did who sent what is too big.
    """
    last = next(reversed(stay.went), None)
    if last is None or stay.flooded or known.planned.place(stay.ns).is_bridge(last.dev):
        return None
    return None if too_narrow(stay, known.planned, known.mtus) else last


def _steps(stay: Stay, known: Knowledge) -> Iterator[Step]:
    """Rules that matched and routing decisions, in the order in which they came."""
    asked = iter(stay.questions())
    if stay.is_origin:
        yield from _routing(next(asked), known)
    for one, after in zip(stay.traversals, [*stay.traversals[1:], None], strict=False):
        if not one.own:
            yield from _netfilter(one, after, known)
        if _is_routed(stay, one, after):
            for question in islice(asked, 1):
                yield from _routing(question, known)


def _is_routed(stay: Stay, one: Traversal, after: Traversal | None) -> bool:
    """Whether the way was decided, or decided again, behind a chain."""
    if stay.is_origin:
        return after is not None and reroutes(one, after)
    return one.own and (one.family, one.hook, one.place) == ("ip", "prerouting", LAST)


def _netfilter(one: Traversal, after: Traversal | None, known: Knowledge) -> Iterator[Step]:
    """The rules of a base chain that matched; its policy where that dropped the packet."""
    for step in rules(one, known):
        if step.verdict == "accept" and after:
            step = replace(step, verdict=_translation(one.header, after.header) or "accept")
        yield step
        yield from _fabric(step, one, after, known)
        if step.verdict == "drop":
            end, name = filtered(one, step)
            if name:
                yield FabricStep(name=name, text=end.text, passed=False, why=step.why)


def filtered(one: Traversal, step: NetfilterStep) -> tuple[End, str]:
    """What a rule's drop means; the step's name where it is one of the VPC's."""
    packet = Packet(one.header)
    packet.iif, packet.oif = one.iif, one.oif
    packet.state = "new" if one.way == "there" else "established"
    refuses = "REJECT" in step.rule or "reject" in step.rule.split()
    return filtered_end(one.ns, Filtered(step, "told" if refuses else ""), packet)


def rules(one: Traversal, known: Knowledge) -> Iterator[NetfilterStep]:
    """The rules of a base chain that matched, with their texts."""
    for matched in one.matched:
        if not matched.handle and matched.verdict != "drop":
            continue  # a policy that lets pass decides nothing
        name = RuleName(one.ns, one.family, one.table, matched.chain, matched.handle)
        unread = f"rule {name.handle}" if name.handle else f"policy {matched.verdict}"
        text = known.texts.get(name, unread)
        yield NetfilterStep(
            family=one.family,
            table=one.table,
            chain=matched.chain,
            rule=text,
            verdict=matched.verdict,
            why=known.planned.place(one.ns).why(name, text),
        )


def _translation(before: Header, after: Header) -> str:
    """`dnat to 10.0.1.6:80`, from how the packet is in the next chain; empty for none."""
    was, now = _compared(before), _compared(after)
    if was[2:] != now[2:]:
        return f"dnat to {_endpoint(now.destination, now.destination_port)}"
    if was[:2] != now[:2]:
        return f"snat to {_endpoint(now.source, now.source_port)}"
    return ""


def _compared(header: Header) -> Flow:
    """What translation changes; of ICMP the addresses."""
    if header.protocol == "icmp":
        header = replace(header, source_port=0, destination_port=0)
    return Flow.of(header)


def _endpoint(address: IpAddress, port: int) -> str:
    return f"{address}:{port}" if port else str(address)


def _fabric(
    step: NetfilterStep, one: Traversal, after: Traversal | None, known: Knowledge
) -> Iterator[FabricStep]:
    """What a rule is in the VPC's own words."""
    name = fabric.name_of(step)
    if name and step.family == "bridge":
        by_source = name == fabric.SOURCE_CHECK
        dev = one.iif if by_source else one.oif
        address = one.header.source if by_source else one.header.destination
        asked, place = _SET.search(step.rule), known.planned.place(one.ns)
        element = place.element(asked[1], dev, address) if asked else None
        yield fabric.check(name, element)
    elif name in fabric.FILTERS:
        yield fabric.check(name, None, step.why)
    elif name and after:
        source = step.verdict.startswith("snat")
        side, to = (
            ("source", after.header.source)
            if source
            else (
                "destination",
                after.header.destination,
            )
        )
        yield fabric.translation(name, side, Packet(one.header), int(to))


def _routing(question: Question, known: Knowledge) -> Iterator[Step]:
    """A routing decision: by which rule, in which table, to which next hop; in AWS's words too."""
    answer = known.routes[question]
    if answer.route is None:
        decision = evaluated(question, known)
        yield decision.step
        yield from decision.fabric
        return
    route = known.planned.place(question.ns).route(answer.route)
    rule = _rule(route, question, known)
    yield RoutingStep(
        rule=show(rule).replace("\t", " ") if rule else "",
        table=table_name(route.table),
        route=show(route),
        dev=route.dev,
        next_hop=str(route.via or ""),
        neighbour=answer.neighbour,
        why=route.why or (rule.why if rule else ""),
    )
    if rule and fabric.is_router(question.ns):
        yield from _fabric_route(rule, route, question, known)


def _fabric_route(
    rule: Rule, route: Route, question: Question, known: Knowledge
) -> tuple[FabricStep, ...]:
    """In AWS's words; the entry for the VPC's own ranges, which is passed over, is the plan's."""
    planned = _decided(known.planned.place(question.ns).space, question)
    if planned.route == route:
        return planned.fabric
    return fabric.routed(rule, route, None)


def _rule(route: Route, question: Question, known: Knowledge) -> Rule | None:
    """The `ip rule` that led to the route, as it is planned."""
    rule = leading_to(
        route.table,
        known.routes[question].rules,
        question.destination,
        source=question.source,
        iif=question.iif,
        mark=question.mark,
    )
    planned = known.planned.place(question.ns).of(frozenset([rule] if rule else []))
    return next((fact for fact in planned if isinstance(fact, Rule)), None)


def space(question: Question, known: Knowledge) -> Space:
    """The namespace as it was read, where the kernel does not say which route it found."""
    return Space(question.ns, known.planned.place(question.ns).of(known.routes[question].space))


def evaluated(question: Question, known: Knowledge) -> Decision:
    """What rules and tables come to there."""
    return _decided(space(question, known), question)


def _decided(where: Space, question: Question) -> Decision:
    return where.routing.decide(
        int(question.source), int(question.destination), question.iif, question.mark
    )
