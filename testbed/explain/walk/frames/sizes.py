"""What is too big for a device: told to its sender by who routes, dropped in silence by links.

Sources: Linux net/ipv4/ip_forward.c and ip_output.c; net/core/dev.c, is_skb_forwardable;
net/bridge/br_forward.c and br_netfilter_hooks.c, br_nf_ip_fragment.
"""

from testbed.explain.packet import MORE_FRAGMENTS
from testbed.explain.walk.facts.space import Space
from testbed.explain.walk.trip import Trip
from testbed.net.facts import Route

SPARE = 4  # bytes a link takes above its MTU: VLAN_HLEN


def fit(trip: Trip, dev: str, told: str, route: Route | None = None) -> None:
    """A packet that is to leave by a device, in fragments where it may be.  Raises Ended.

    told: what its sender is told of one that may not.  route: its own MTU comes before the
    device's (include/net/ip.h, ip_dst_mtu_maybe_forward).
    """
    packet = trip.packet
    mtu = (route.mtu if route else 0) or trip.space.mtu(dev)
    if packet.size <= mtu:
        return
    if not packet.fragments:
        trip.drop("X_MTU_EXCEEDED", told, dev=dev, mtu=mtu, size=packet.size)
    packet.size, packet.fragment = mtu, MORE_FRAGMENTS


def pass_link(trip: Trip, space: Space, dev: str) -> None:
    """A frame that a device takes off a link, or a bridge's port on to one.  Raises Ended."""
    _take(trip, space, dev, SPARE)


def pass_port(trip: Trip, dev: str) -> None:
    """A frame that a bridge hands on to a port.  Raises Ended.

    br_netfilter, where it calls iptables, is exact.
    """
    _take(trip, trip.space, dev, 0 if trip.space.calls_iptables else SPARE)


def _take(trip: Trip, space: Space, dev: str, spare: int) -> None:
    size, mtu = trip.packet.size, space.mtu(dev)
    if size > mtu + spare:
        trip.drop("X_MTU_MISMATCH", dev=dev, where=space.ns, mtu=mtu, size=size)
