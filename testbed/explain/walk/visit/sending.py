"""How a packet leaves a namespace: made there or passed on, to the end of the link's other side.

Sources: Linux net/ipv4/route.c (ip_route_output_key), netfilter.c (ip_route_me_harder).
"""

from ipaddress import IPv4Address

from testbed.explain.packet import IP_AND_TCP
from testbed.explain.routing.decision import Decision
from testbed.explain.routing.local_table import LOOPBACK
from testbed.explain.walk.frames.bridging import bridge_out, cross
from testbed.explain.walk.frames.links import Arrival
from testbed.explain.walk.frames.neighbours import address_frame
from testbed.explain.walk.frames.sizes import fit
from testbed.explain.walk.trip import Trip
from testbed.explain.walk.visit.incoming import refuse

DUMMY = int(IPv4Address("192.0.0.8"))  # RFC 7600: of ICMP errors, where there is no other one
LOOPBACK_NETWORK = 127  # the first byte of its addresses


def output(trip: Trip, *, is_answer: bool = False) -> Arrival:
    """Where a packet made in the trip's namespace arrives next.  Raises Ended.

    Without a source the namespace chooses one, by the route that it takes without; TCP and UDP
    then ask again with it (net/ipv4/tcp_ipv4.c, tcp_v4_connect).
    is_answer: of the kernel itself, to what came in; nobody asks for its route twice.
    """
    packet, space = trip.packet, trip.space
    decision = _decide(trip)
    if not packet.source:
        packet.source = _source(trip, decision)
        trip.reopen()
        if packet.protocol != "icmp" and not is_answer:
            decision = _decide(trip)
    elif space.routing.address_type(packet.source) != "local" and not is_answer:
        trip.drop("X_NO_SOURCE")
    if packet.protocol == "tcp":
        _segment(trip)
    fit(trip, packet.oif, "")
    decision = _pass_output(trip, decision)
    return transmit(trip, decision)


def _segment(trip: Trip) -> None:
    """TCP says which segments it takes, and cuts its own to what leaves: net/ipv4/tcp_output.c."""
    packet, mtu = trip.packet, trip.space.mtu(trip.packet.oif)
    packet.mss = mtu - IP_AND_TCP
    packet.size = min(packet.size, mtu)


def _decide(trip: Trip) -> Decision:
    packet = trip.packet
    decision = trip.space.routing.decide(packet.source, packet.destination, "", packet.mark)
    if decision.kind not in ("unicast", "local"):
        trip.routed(decision)
        refuse(trip, decision)
    trip.packet.oif = LOOPBACK if decision.kind == "local" else decision.dev
    trip.passage.next_hop = decision.via or packet.destination
    return decision


def _source(trip: Trip, decision: Decision) -> int:
    """The address that the route prefers, else the device's own."""
    route = decision.route
    if route is not None and route.src is not None:
        return int(route.src)
    chosen = trip.space.own.select(decision.dev, decision.next_hop(trip.packet.destination))
    if not chosen and trip.packet.quoted is not None:
        return DUMMY
    if not chosen:
        trip.drop("X_NO_SOURCE")
    return chosen


def _pass_output(trip: Trip, decision: Decision) -> Decision:
    """Through the output hook; its changes may lead to another route."""
    trip.routed(decision)
    if "ip output" not in trip.space.netfilter.hooks:
        return decision
    chosen = [decision]

    def reroute() -> None:
        chosen.append(_decide(trip))
        trip.routed(chosen[-1])

    trip.output(reroute)
    return chosen[-1]


def transmit(trip: Trip, decision: Decision) -> Arrival:
    """Through postrouting, to a neighbour, and over the link.  Raises Ended."""
    packet, space = trip.packet, trip.space
    if packet.source >> 24 == LOOPBACK_NETWORK:
        _check_loopback(trip)
    trip.hook("ip postrouting")
    dev = packet.oif
    if dev == LOOPBACK:
        trip.leave(LOOPBACK)
        return space, LOOPBACK
    address_frame(trip, decision)
    bridge = space.bridges.get(dev)
    return cross(trip, dev) if bridge is None else bridge_out(trip, bridge)


def _check_loopback(trip: Trip) -> None:
    """127.0.0.1 is the source of nothing on a wire: net/ipv4/route.c, __mkroute_output."""
    dev = trip.packet.oif
    if dev != LOOPBACK and not trip.space.settings.strictest("route_localnet", dev):
        trip.drop("X_MARTIAN_SOURCE", dev=dev, why="127.0.0.0/8 stays inside")
