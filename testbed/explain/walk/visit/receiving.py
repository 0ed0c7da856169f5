"""How a namespace takes a packet: off its device, through its hooks, to itself or onwards."""

from testbed.explain.packet import address
from testbed.explain.routing.decision import Decision
from testbed.explain.routing.local_table import LOOPBACK
from testbed.explain.speech import expired
from testbed.explain.walk.facts.space import Space
from testbed.explain.walk.frames.bridging import bridge_in, pass_up
from testbed.explain.walk.frames.links import Arrival
from testbed.explain.walk.frames.sizes import fit
from testbed.explain.walk.trip import Trip
from testbed.explain.walk.visit.incoming import incoming
from testbed.explain.walk.visit.sending import transmit
from testbed.net.facts import BridgePort


def arrive(trip: Trip, space: Space, dev: str) -> Arrival | None:
    """Where a packet that comes in by a device arrives next; None where it is delivered.

    Raises Ended.
    """
    packet = trip.packet
    trip.enter(space, dev)
    port = space.ports.get(dev)
    if port is not None:
        onwards = bridge_in(trip, port)
        if onwards is not None:
            return onwards
        return _receive(trip, port.bridge, space.calls_iptables)
    if dev != LOOPBACK and packet.dmac != space.macs.get(dev):
        trip.drop("X_WRONG_MAC", mac=packet.dmac, dev=dev, sender=trip.previous)
    packet.pkttype = "host"
    return _receive(trip, dev, prerouted=False)


def arrive_copied(trip: Trip, space: Space, port: BridgePort) -> Arrival | None:
    """Where a copy that a promiscuous bridge takes of a frame arrives next; as `arrive`."""
    trip.enter(space, port.dev)
    pass_up(trip, space.bridges[port.bridge], port)
    return _receive(trip, port.bridge, space.calls_iptables)


def _receive(trip: Trip, dev: str, prerouted: bool) -> Arrival | None:
    """prerouted: br_netfilter has called PREROUTING already (br_netfilter_hooks.c, sabotage)."""
    packet = trip.packet
    packet.iif, packet.oif = dev, ""
    called = packet.destination
    if not prerouted:
        trip.hook("ip prerouting")
    if dev == LOOPBACK and packet.destination == called:
        trip.hook("ip input")  # what a namespace sends itself keeps the route it was sent by
        return None
    decision = incoming(trip, dev)
    if decision.kind == "local":
        trip.hook("ip input")
        return None
    return _forward(trip, decision)


def _forward(trip: Trip, decision: Decision) -> Arrival:
    """net/ipv4/ip_forward.c: TTL and size count before the hook."""
    packet = trip.packet
    if packet.ttl <= 1:
        if trip.is_loop:
            trip.drop("X_LOOP", "time-exceeded", visits=trip.visited)
        trip.drop(expired(address(packet.source)), "time-exceeded")
    fit(trip, decision.dev, "frag-needed", decision.route)
    packet.ttl -= 1
    packet.oif = decision.dev
    trip.passage.next_hop = packet.next_hop = decision.via or packet.destination
    trip.hook("ip forward")
    return transmit(trip, decision)
