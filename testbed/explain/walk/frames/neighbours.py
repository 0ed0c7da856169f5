"""The MAC of a packet's next hop, or why the packet ends without one."""

from testbed.explain.netfilter.passage import NotPredicted
from testbed.explain.packet import address
from testbed.explain.routing.decision import Decision
from testbed.explain.walk.frames.links import Leaving
from testbed.explain.walk.trip import Trip


def address_frame(trip: Trip, decision: Decision) -> None:
    """Give the frame its MACs.  Without the next hop's the packet ends, and its sender is told."""
    packet = trip.packet
    try:
        leaving = trip.links.leaving(trip.space, decision, packet.source, packet.destination)
    except NotPredicted as what:
        trip.unknown(str(what))
    trip.asked(leaving.step)
    if leaving.asked and not decision.via:
        trip.asking = decision
    if not (leaving.is_up and leaving.mac):
        _drop(trip, decision, leaving)
    packet.dmac, packet.smac, packet.pkttype = leaving.mac, leaving.own_mac, "host"


def _drop(trip: Trip, decision: Decision, leaving: Leaving) -> None:
    dev = decision.dev
    if not trip.space.mac(dev):
        trip.drop("X_HOST", dev=dev)
    told = "" if leaving.mac else "host-unreachable"
    if trip.space.is_empty(dev):
        trip.drop("X_EMPTY_BRIDGE", told, dev=dev)
    if not leaving.is_up:
        trip.drop("X_LINK_DOWN", told, dev=dev)
    next_hop = address(decision.next_hop(trip.packet.destination))
    trip.drop("X_NO_NEIGHBOUR", told, next_hop=next_hop, dev=dev)
