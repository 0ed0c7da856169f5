"""A namespace's link dump to facts.  Pure.

The two ends of a veth pair are found by their numbers: IFLA_LINK is the peer's number in the
peer's namespace, and the testbed gives no number twice in a lab.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from socket import AF_INET, AF_INET6

from testbed.kernel.netlink import uapi
from testbed.kernel.netlink.encode_links import LOOPBACK_INDEX
from testbed.kernel.netlink.layouts import Layouts
from testbed.kernel.netlink.wire import text, u32
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


@dataclass(frozen=True, slots=True)
class Link:
    """A device as its namespace's dump has it."""

    ns: str
    index: int
    name: str
    up: bool
    promisc: bool = False
    mac: str = ""
    mtu: int = 0
    kind: str = ""
    peer_index: int = 0
    peer_elsewhere: bool = False  # the peer is in another namespace
    master: int = 0
    port: Mapping[int, bytes] = field(default_factory=dict)  # IFLA_BRPORT_*
    ipv4_settings: bytes = b""
    ipv6_settings: bytes = b""
    queueing: str = ""  # the discipline at its root


def link(ns: str, body: bytes, layouts: Layouts) -> Link:
    """One message of a link dump."""
    attributes = layouts.attributes
    _, _, index, flags, _ = _LINK.unpack_from(body)
    found = attributes(body, _LINK.size)
    info = attributes(found.get(uapi.IFLA_LINKINFO, b""))
    families = attributes(found.get(uapi.IFLA_AF_SPEC, b""))
    return Link(
        ns=ns,
        index=index,
        name=text(found[uapi.IFLA_IFNAME]),
        up=bool(flags & uapi.IFF_UP),
        promisc=bool(flags & uapi.IFF_PROMISC),
        mac=found.get(uapi.IFLA_ADDRESS, b"").hex(":"),
        mtu=u32(found[uapi.IFLA_MTU]),
        kind=text(info.get(uapi.IFLA_INFO_KIND, b"")),
        peer_index=_number(found, uapi.IFLA_LINK),
        peer_elsewhere=uapi.IFLA_LINK_NETNSID in found,
        master=_number(found, uapi.IFLA_MASTER),
        port=attributes(info.get(uapi.IFLA_INFO_SLAVE_DATA, b"")),
        ipv4_settings=attributes(families.get(AF_INET, b"")).get(uapi.IFLA_INET_CONF, b""),
        ipv6_settings=attributes(families.get(AF_INET6, b"")).get(uapi.IFLA_INET6_CONF, b""),
        queueing=text(found.get(uapi.IFLA_QDISC, b"")),
    )


def link_facts(links: Iterable[Link], peers: "Peers") -> Iterator[Fact]:
    """What a namespace's links say: itself, its veths, bridges and their ports, and strangers.

    A veth whose peer is in no namespace we know is left out: that namespace was dropped, and the
    kernel is about to take the pair away.
    """
    names = {link.index: link.name for link in links}
    for one in links:
        yield from facts_of(one, names.get(one.master, ""), peers)


def facts_of(one: Link, bridge: str, peers: "Peers") -> Iterator[Fact]:
    """What one link says.  bridge: the name of the one whose port it is, if it is."""
    if fact := _fact(one, peers):
        yield fact
        if one.master:
            yield _port(one, bridge)


def _fact(one: Link, peers: "Peers") -> Fact | None:
    if one.index == LOOPBACK_INDEX:
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
    message = _LINK.pack(0, 0, one.index, 0, 0)
    return Foreign(ns=one.ns, kind="link", text=f"{one.kind} {one.name}", message=message)


class Peers:
    """Finds a veth's other end among the links of all namespaces."""

    def __init__(self, links: Iterable[Link]) -> None:
        self._by_index: dict[int, list[Link]] = {}
        for one in links:
            self._by_index.setdefault(one.index, []).append(one)

    def of(self, veth: Link) -> Link | None:
        """The link that says of `veth` what `veth` says of it: "my peer has that number"."""
        for other in self._by_index.get(veth.peer_index, ()):
            if other.peer_index == veth.index and (other.ns != veth.ns) == veth.peer_elsewhere:
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
        learning=_flag(link, uapi.IFLA_BRPORT_LEARNING),
        flood=any(_flag(link, kind) for kind in flooded),
        proxy_arp=_flag(link, uapi.IFLA_BRPORT_PROXYARP),
        hairpin=_flag(link, uapi.IFLA_BRPORT_MODE),
    )


def _flag(link: Link, kind: int) -> bool:
    return link.port.get(kind, b"\0") != b"\0"


def _number(found: Mapping[int, bytes], kind: int) -> int:
    return u32(found[kind]) if kind in found else 0
