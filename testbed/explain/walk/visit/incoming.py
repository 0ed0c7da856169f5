"""Where a packet goes that came in: for the namespace itself, on to another, or nowhere.

Source: Linux net/ipv4/route.c (ip_route_input_slow, ip_error).
"""

from testbed.explain.fabric import MAPPING, is_load_balancer, is_transit_gateway
from testbed.explain.packet import address
from testbed.explain.routing.decision import Decision
from testbed.explain.routing.reverse_path import ODD, Refusal
from testbed.explain.walk.trip import Trip
from testbed.networks.transit_gateway import NO_ROUTE

ONE_ADDRESS = 32  # the length of its prefix
# What the sender of a packet that came in is told of a route without a next hop; a blackhole is
# silent, and so is a namespace that does not forward (ip_error).
TOLD = {
    "none": "net-unreachable",
    "unreachable": "host-unreachable",
    "prohibit": "admin-prohibited",
}
_WHY = {
    "own": "it is an address of {ns} itself",
    "source": "no packet may have it as its source",
}


def incoming(trip: Trip, dev: str, *, noted: bool = True) -> Decision:
    """The decision for a packet that came in by a device.  Raises Ended.

    noted: it becomes a step of the visit.
    """
    packet, space = trip.packet, trip.space
    source, destination = packet.source, packet.destination
    checks = space.reverse_path
    if source >> 24 in ODD or destination >> 24 in ODD:
        _refuse(trip, checks.refuses_addresses(source, destination, dev), dev)
    decision = space.routing.decide(source, destination, dev, packet.mark)
    if noted:
        trip.routed(decision)
    out = ""
    if decision.kind == "unicast":
        out = decision.dev
        if not checks.mode(dev).forwards:
            trip.drop("X_FORWARDING_OFF", dev=dev)
    elif decision.kind != "local":
        told = TOLD.get(decision.kind, "") if checks.mode(dev).forwards else ""
        refuse(trip, decision, told)
    refusal = checks.refuses_source(source, destination, dev, out, packet.mark)
    if refusal:
        back = checks.back(source, destination, dev, out, packet.mark).step
        _refuse(trip, refusal, dev, f"{back.rule.partition(':')[0]} {back.route}".strip())
    return decision


def refuse(trip: Trip, decision: Decision, told: str = "") -> None:
    """End a packet whose route leads nowhere.  Raises Ended."""
    route = decision.step.route
    match decision.kind:
        case "none":
            trip.drop("NO_ROUTE_TO_DESTINATION", told)
        case "blackhole":
            trip.drop(blackhole_code(decision), route=decision.step.why or route)
        case "unreachable" | "prohibit":
            trip.drop("X_ROUTE_REFUSES", told, route=route)
        case _:
            trip.unknown(f"{decision.kind}: {route}")


def blackhole_code(decision: Decision) -> str:
    """Why a blackhole is there.

    In a VPC: an address that nobody has, or whose instance is stopped, no entry at all, or an
    entry without a target.
    """
    if decision.route is not None and is_transit_gateway(decision.route.ns):
        missing = decision.route.metric == NO_ROUTE
        return "TGW_RTB_NO_ROUTE_TO_TGW_ATTACHMENT" if missing else "TGW_RTB_BAD_STATE_ROUTE"
    if not decision.fabric:
        return "X_BLACKHOLE"
    if decision.fabric[-1].name != MAPPING:
        return "BAD_STATE_ROUTE"
    if decision.route is not None and decision.route.dst.prefixlen == ONE_ADDRESS:
        return "BAD_STATE"
    return "NO_ROUTE_TO_DESTINATION" if decision.to_anywhere else "X_NO_MAPPING"


def _refuse(trip: Trip, refusal: Refusal, dev: str, back: str = "") -> None:
    match refusal:
        case "":
            return
        case "filter":
            trip.drop("X_RP_FILTER", dev=dev, back=back)
        case "destination":
            trip.drop("X_MARTIAN_DESTINATION", dev=dev)
        case "unknown":
            trip.unknown("the reverse path check")
        case _:
            _martian(trip, _WHY[refusal].format(ns=trip.space.ns), dev)


def _martian(trip: Trip, why: str, dev: str) -> None:
    """No packet with such a source can come in; if a load balancer sent it, it is a hairpin."""
    if any(map(is_load_balancer, trip.places)):
        source = address(trip.packet.source)
        trip.drop("X_NLB_HAIRPIN", what=f"{source} cannot come in by {dev}: {why}")
    trip.drop("X_MARTIAN_SOURCE", dev=dev, why=why)
