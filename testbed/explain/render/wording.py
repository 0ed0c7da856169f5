"""What is said of a packet in few words, the same in text and in drawings."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from testbed.explain.answer import Answer, Kind, Place
from testbed.explain.journey import (
    FabricStep,
    Header,
    NetfilterStep,
    RoundTrip,
    RoutingStep,
    Step,
    Visit,
)


def endpoints(header: Header) -> str:
    """`10.0.1.13:40112 → 10.0.2.6:80`; a port of 0 is not known, those of ICMP are none."""
    return f"{origin(header)} → {target(header)}"


def origin(header: Header) -> str:
    """Source address, and port where there is one."""
    return _with_port(header, str(header.source), header.source_port)


def target(header: Header) -> str:
    """Destination address, and port where there is one."""
    return _with_port(header, str(header.destination), header.destination_port)


def _with_port(header: Header, address: str, port: int) -> str:
    if header.protocol == "icmp" or not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def asked(answer: Answer) -> Header:
    """The packet that was sent, or would be: a real one has a source port of the kernel's own."""
    visits = answer.shown.there.visits
    return visits[0].arrived if visits else answer.header


KINDS: dict[Kind, str] = {
    "pod": "pod",
    "node": "node",
    "instance": "instance",
    "vpc": "VPC router",
    "internet-gateway": "internet gateway",
    "nat-gateway": "NAT gateway",
    "load-balancer": "load balancer",
    "private-gateway": "virtual private gateway",
    "transit-gateway": "transit gateway",
    "customer-gateway": "customer gateway",
    "host": "host",
    "internet": "",
    "other": "",
}


def described(place: Place) -> str:
    """`node · t3.small · us-west-2a`."""
    addresses = [str(address) for address in place.addresses[:1]]
    known = [KINDS[place.kind], place.detail]
    if place.kind in ("nat-gateway", "internet"):
        known = [place.detail, *addresses]
    return " · ".join(filter(None, known))


def packet(header: Header) -> str:
    """`tcp SYN`."""
    return f"{header.protocol} {header.kind}".rstrip()


def sent(answer: Answer) -> str:
    """`tcp SYN`, `icmp echo-request of 9001 bytes`; TCP cuts its own to what its peer takes."""
    sent, size = asked(answer), answer.header.size
    return packet(sent) + (f" of {sent.size or size} bytes" if size else "")


def translations(visit: Visit) -> Iterator[tuple[str, str, str]]:
    """What NAT changed in a namespace: `source` or `destination`, before, after."""
    if visit.left is None:
        return
    if origin(visit.arrived) != origin(visit.left):
        yield "source", origin(visit.arrived), origin(visit.left)
    if target(visit.arrived) != target(visit.left):
        yield "destination", target(visit.arrived), target(visit.left)


def essential(visit: Visit) -> tuple[Step, ...]:
    """The steps without the rules that only make the VPC: its own steps say the same.

    A rule that ended the packet stays, and so does a reason that no step of the VPC gives.
    """
    fabric = [step for step in visit.steps if isinstance(step, FabricStep)]
    if not fabric:
        return visit.steps
    said = {reason for step in fabric for reason in (step.text, step.why)}
    return tuple(
        replace(step, why="") if isinstance(step, RoutingStep) and step.why in said else step
        for step in visit.steps
        if not isinstance(step, NetfilterStep) or ends(step)
    )


def once(steps: Iterable[Step]) -> Iterator[Step]:
    """The steps; a reason that the step before has given already is left out."""
    before = ""
    for step in steps:
        yield replace(step, why="") if step.why == before else step
        before = step.why


def check(step: FabricStep) -> str:
    """`source check: 10.0.1.13 is assigned to …`."""
    return f"{step.name}: {step.text.removeprefix(f'{step.name}: ')}"


BRIDGED = "handed on by its MAC: no route was asked"


def is_bridged(visit: Visit) -> bool:
    """Whether it came and went without a routing decision."""
    decided = any(isinstance(step, RoutingStep | FabricStep) for step in visit.steps)
    return bool(visit.dev_in and visit.left) and not decided


def ends(step: Step) -> bool:
    """Whether it is a rule of netfilter that ends a packet."""
    return isinstance(step, NetfilterStep) and step.verdict.split(" ")[0] in ("drop", "reject")


def route(step: RoutingStep) -> str:
    """`table 2: default via 10.0.1.1 dev eth1`."""
    text = step.route.replace(f" table {step.table}", "")
    return f"table {step.table}: {text}" if step.table else text


def ending(answer: Answer) -> str:
    """The verdict in a few words: `delivered to client`, `dropped in vpc-main`.

    What was refused was answered, with a reset or an ICMP error that came back.
    """
    end = answer.shown.there.end
    back = answer.shown.back
    if not end.delivered:
        told = back is not None and back.end.delivered
        return f"{'refused' if told else 'dropped'} in {end.ns}"
    if back is not None and not back.end.delivered:
        return f"delivered to {end.ns}, but its reply was dropped in {back.end.ns}"
    return f"delivered to {end.ns}"


def asymmetry(answer: Answer) -> list[str]:
    """What is not the same on the way back, a sentence each.

    A VPC's own ports are left out: they only follow from what nodes and gateways chose.
    """
    trip = answer.shown
    if trip.back is None:
        return []
    pairs = list(_mirrored(trip))
    for gone, came in pairs:
        if gone.ns != came.ns:
            return [_another_way(trip)]
    return [
        f"{gone.ns} sent it by {gone.dev_out} and gets the reply by {came.dev_in}"
        for gone, came in pairs
        if gone.left and gone.dev_out != came.dev_in and answer.place(gone.ns).kind != "vpc"
    ] + [
        f"{gone.ns} got it by {gone.dev_in} and sends the reply by {came.dev_out}"
        for gone, came in pairs
        if came.left
        and gone.dev_in
        and gone.dev_in != came.dev_out
        and answer.place(gone.ns).kind != "vpc"
    ]


def _mirrored(trip: RoundTrip) -> Iterator[tuple[Visit, Visit]]:
    """Each visit of the way there beside the one that answers it, from the destination on."""
    if trip.back is not None:
        yield from zip(reversed(trip.there.visits), trip.back.visits, strict=False)


def _another_way(trip: RoundTrip) -> str:
    assert trip.back is not None
    there = " → ".join(visit.ns for visit in reversed(trip.there.visits))
    back = " → ".join(visit.ns for visit in trip.back.visits)
    return f"the reply goes another way: {back}, not {there}"


def selected(step: RoutingStep) -> str:
    """`rule 512, table main`; the table alone where no rule led to a route."""
    number = step.rule.partition(":")[0]
    return f"rule {number}, table {step.table}" if number else f"table {step.table}"


def devices(visit: Visit) -> str:
    """`eth0 → eni4448cbddedf`."""
    return f"{visit.dev_in or 'made here'} → {visit.dev_out or 'ends here'}"


def explanation(answer: Answer) -> list[str]:
    """What the verdict means: the code, what happened at the end, what to change."""
    trip = answer.shown
    ends = [trip.there.end, *([trip.back.end] if trip.back else [])]
    for end in ends:
        if end.code:
            return [said for said in (end.code, end.text, end.advice) if said]
    words = ("", "reply: ")
    return [f"{word}{end.text}" for word, end in zip(words, ends, strict=False) if end.text]


def remarks(answer: Answer) -> list[str]:
    """What else a reader should know: other ways than predicted, planned, or the reply's."""
    said = [f"⇄ {sentence}" for sentence in asymmetry(answer)]
    if answer.difference:
        said.append(f"≠ {answer.difference}")
    if answer.drift:
        said.append(f"≠ {answer.drift.sentence('planned', 'now')}")
    return said + [f"! the witnesses contradict: {one}" for one in answer.contradictions]
