"""What bridges do with frames: nft's bridge chains, forwarding, br_netfilter.

Sources: Linux net/bridge/br_input.c, br_forward.c, br_netfilter_hooks.c.
"""

from copy import copy

from testbed.explain.walk.frames.links import Arrival
from testbed.explain.walk.frames.neighbours import address_frame
from testbed.explain.walk.frames.sizes import pass_link, pass_port
from testbed.explain.walk.trip import Trip
from testbed.explain.walk.visit.incoming import incoming
from testbed.net.facts import Bridge, BridgePort


def cross(trip: Trip, dev: str) -> Arrival:
    """Over a veth.  Its far end knows nothing of marks and connections, in another namespace."""
    near = trip.space
    arrival = trip.links.over(near, dev)
    if arrival is None:
        trip.drop("X_LINK_DOWN", dev=dev)
    pass_link(trip, *arrival)
    trip.leave(dev)
    trip.packet.forget(keep_mark=arrival[0] is near)
    return arrival


def bridge_in(trip: Trip, port: BridgePort) -> Arrival | None:
    """A frame that comes in by a port; None where it is for the bridge's own namespace."""
    packet, space = trip.packet, trip.space
    bridge = space.bridges.get(port.bridge)
    if bridge is None or not bridge.up:
        trip.drop("X_LINK_DOWN", dev=port.bridge)
    own = packet.dmac in (bridge.mac, space.mac(port.dev))
    packet.pkttype = "host" if own else "otherhost"
    trip.hook("bridge prerouting")
    if space.calls_iptables:
        _call_prerouting(trip, bridge, port)
    if trip.links.is_own_mac(space, bridge, packet.dmac):
        _up(trip, bridge, port)
        return None
    return _forward(trip, bridge, port)


def _call_prerouting(trip: Trip, bridge: Bridge, port: BridgePort) -> None:
    """br_netfilter: iptables' PREROUTING, and what follows from a translated destination.

    br_nf_pre_routing_finish: when the new destination is behind the same bridge, the frame goes
    on to it without being routed; else the bridge itself becomes the receiver.
    """
    packet, called = trip.packet, trip.packet.destination
    packet.iif, packet.physin = bridge.name, port.dev
    trip.hook("ip prerouting")
    if packet.destination == called:
        packet.iif = port.dev
        return
    decision = incoming(trip, bridge.name, noted=False)
    packet.iif = port.dev
    if decision.kind == "unicast" and decision.dev == bridge.name:
        trip.routed(decision)
        address_frame(trip, decision)
    else:
        packet.dmac, packet.pkttype = bridge.mac, "host"


def _up(trip: Trip, bridge: Bridge, port: BridgePort) -> None:
    packet = trip.packet
    if packet.pkttype != "host":
        trip.drop("X_WRONG_MAC", mac=packet.dmac, dev=bridge.name, sender=trip.previous)
    trip.hook("bridge input")
    packet.iif = bridge.name
    packet.physin = port.dev if trip.space.calls_iptables else ""


def _forward(trip: Trip, bridge: Bridge, port: BridgePort) -> Arrival | None:
    packet = trip.packet
    out = _port_to(trip, bridge)
    if out.dev == port.dev and not port.hairpin:
        if not bridge.promisc or packet.pkttype != "host":
            trip.drop("X_HAIRPIN", dev=port.dev)
        pass_up(trip, bridge, port)
        return None
    if bridge.promisc and packet.pkttype == "host":
        trip.passage.is_single = True
        trip.copied.append((copy(packet), trip.space, port))
    packet.oif = out.dev
    trip.hook("bridge forward")
    calls_iptables = trip.space.calls_iptables
    if calls_iptables:
        _as_bridge(trip, bridge, out, "forward")
    trip.hook("bridge postrouting")
    if calls_iptables:
        _as_bridge(trip, bridge, out, "postrouting")
    pass_port(trip, out.dev)
    return cross(trip, out.dev)


def pass_up(trip: Trip, bridge: Bridge, port: BridgePort) -> None:
    """What a promiscuous bridge takes itself of a frame that was not for it.

    It belongs to no connection any more (br_pass_frame_up: since Linux 6.9 and its stable
    siblings), so nobody gives it another source, and rules take it for invalid.
    """
    trip.packet.forget(keep_mark=True)
    trip.packet.state = "invalid"
    _up(trip, bridge, port)


def _as_bridge(trip: Trip, bridge: Bridge, out: BridgePort, hook: str) -> None:
    """An IPv4 hook, in which a bridged packet comes from the bridge and goes to it."""
    packet = trip.packet
    ports = packet.iif, packet.oif
    packet.iif = bridge.name if hook == "forward" else ""
    packet.oif, packet.physout = bridge.name, out.dev
    trip.hook(f"ip {hook}")
    packet.iif, packet.oif = ports


def bridge_out(trip: Trip, bridge: Bridge) -> Arrival:
    """A frame that the namespace itself sends out of a bridge."""
    packet = trip.packet
    out = _port_to(trip, bridge)
    packet.iif, packet.oif = "", out.dev
    trip.hook("bridge output")
    trip.hook("bridge postrouting")
    pass_link(trip, trip.space, out.dev)
    return cross(trip, out.dev)


def _port_to(trip: Trip, bridge: Bridge) -> BridgePort:
    out = trip.links.port_to(trip.space, bridge, trip.packet.dmac)
    if out is None:
        trip.drop("X_NO_PORT", dev=bridge.name, mac=trip.packet.dmac)
    return out
