"""A namespace's link dump to facts.  Pure.

The two ends of a veth pair are found by their numbers: IFLA_LINK is the peer's number in the
peer's namespace, and the testbed gives no pair of numbers twice in a lab.
"""

import struct
from collections.abc import Iterable, Iterator

from testbed.kernel.netlink import uapi
from testbed.kernel.netlink.encode_links import LOOPBACK_INDEX
from testbed.kernel.netlink.links import Link
from testbed.net.facts import Bridge, BridgePort, Fact, Foreign, Netns, Veth

# Devices the kernel itself puts into every new namespace once a module for them is loaded
# (net.core.fb_tunnels_only_for_init_net); they cannot be deleted.
FALLBACK_DEVICES = frozenset(
    {
        "erspan0",
        "gre0",
        "gretap0",
        "ip6_vti0",
        "ip6gre0",
        "ip6tnl0",
        "ip_vti0",
        "sit0",
        "tunl0",
    }
)

_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, device type, index, flags, changed flags


def link_facts(links: Iterable[Link], peers: "Peers") -> Iterator[Fact]:
    """What a namespace's links say: itself, its veths, bridges and their ports, and strangers.

    A veth whose peer is in no namespace we know is left out: that namespace was dropped, and the
    kernel is about to take the pair away.
    """
    names = {link.ifindex: link.name for link in links}
    for one in links:
        yield from facts_of(one, names.get(one.master, ""), peers)


def facts_of(one: Link, bridge: str, peers: "Peers") -> Iterator[Fact]:
    """What one link says.  bridge: the name of the one whose port it is, if it is."""
    if fact := _fact(one, peers):
        yield fact
        if one.master:
            yield _port(one, bridge)


def _fact(one: Link, peers: "Peers") -> Fact | None:
    if one.ifindex == LOOPBACK_INDEX:
        return Netns(ns=one.ns, up=one.up)
    if one.kind == "veth":
        peer = peers.of(one)
        return _veth(one, peer) if peer else None
    if one.kind == "bridge":
        return Bridge(
            ns=one.ns,
            name=one.name,
            mac=one.mac,
            mtu=one.mtu,
            up=one.up,
            promisc=one.promisc,
        )
    if one.name in FALLBACK_DEVICES:
        return None
    message = _LINK.pack(0, 0, one.ifindex, 0, 0)
    return Foreign(ns=one.ns, kind="link", text=f"{one.kind} {one.name}", message=message)


class Peers:
    """Finds a veth's other end among the links of all namespaces."""

    def __init__(self, links: Iterable[Link]) -> None:
        self._by_numbers: dict[tuple[int, int], list[Link]] = {}
        for one in links:
            self._by_numbers.setdefault((one.ifindex, one.peer_ifindex), []).append(one)

    def of(self, veth: Link) -> Link | None:
        """The link that says of `veth` what `veth` says of it: "my peer has that number"."""
        for other in self._by_numbers.get((veth.peer_ifindex, veth.ifindex), ()):
            if (other.ns != veth.ns) == veth.peer_elsewhere:
                return other
        return None


def _veth(near: Link, far: Link) -> Veth:
    return Veth(
        ns=near.ns,
        name=near.name,
        peer_ns=far.ns,
        peer=far.name,
        mac=near.mac,
        mtu=near.mtu,
        up=near.up,
    )


def _port(link: Link, bridge: str) -> BridgePort:
    """A port; `flood` when any kind of frame is flooded."""
    flooded = (
        uapi.IFLA_BRPORT_UNICAST_FLOOD,
        uapi.IFLA_BRPORT_MCAST_FLOOD,
        uapi.IFLA_BRPORT_BCAST_FLOOD,
    )
    return BridgePort(
        ns=link.ns,
        dev=link.name,
        bridge=bridge,
        learning=uapi.IFLA_BRPORT_LEARNING in link.port,
        flood=not link.port.isdisjoint(flooded),
        proxy_arp=uapi.IFLA_BRPORT_PROXYARP in link.port,
        hairpin=uapi.IFLA_BRPORT_MODE in link.port,
    )
