"""Reads facts back from the kernel: 0.2 to 0.3 ms for a namespace.  Needs CAP_SYS_ADMIN."""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from socket import AF_BRIDGE, AF_INET, AF_UNSPEC

from testbed.kernel import decode, devconf, netfilter, sysctl, uapi
from testbed.kernel.decode_links import Link, Peers, link, link_facts
from testbed.kernel.namespaces import Descriptors, NamespaceStore, entered
from testbed.kernel.netlink import Message, attribute_u32, attributes, text
from testbed.kernel.socket import NetlinkSocket
from testbed.net.changes import LinkName
from testbed.net.facts import Fact, State, Sysctl

IPTABLES_TABLES = frozenset({"filter", "nat", "mangle", "raw", "security"})
NFPROTO_IPV4, NFPROTO_IPV6 = 2, 10  # linux/netfilter.h: the families of iptables and ip6tables

_LINKS = struct.pack("=BxHiII", AF_UNSPEC, 0, 0, 0, 0) + attribute_u32(
    uapi.IFLA_EXT_MASK, uapi.RTEXT_FILTER_SKIP_STATS
)
_NEIGHBOURS = struct.Struct("=BxxxiHBB")
_NFTABLES = uapi.NFNL_SUBSYS_NFTABLES << 8


@dataclass(frozen=True)
class Observation:
    """What was found: facts, and the numbers of all links.

    New links get numbers above these: to apply to a part of a lab, give the numbers of all of it.
    """

    state: State = frozenset()
    indexes: Mapping[LinkName, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Namespace:
    """What was read in one namespace."""

    links: list[Link]
    facts: list[Fact]


def observe(
    store: NamespaceStore, names: Iterable[str] | None = None, sysctls: Iterable[Sysctl] = ()
) -> Observation:
    """The facts in these namespaces (None: in all), and of the sysctls the ones named.

    Only IPv4 is read, but for sysctls; those of a device without IPv6 are found as they are named,
    for nothing is otherwise.  Left out is what the kernel does by itself: table local, learnt
    neighbours and forwarding entries, veths whose peers' namespaces are gone.  Raises KernelError.
    """
    wanted: dict[str, list[Sysctl]] = {}
    for fact in sysctls:
        wanted.setdefault(fact.ns, []).append(fact)
    everywhere = store.names()
    with Descriptors(store) as spaces:
        read = {
            ns: _read(ns, spaces.of(ns), wanted.get(ns, ()))
            for ns in sorted(everywhere if names is None else names)
        }
        seen = [one for space in read.values() for one in space.links]
        elsewhere = _elsewhere(spaces, seen, everywhere - read.keys())
    peers = Peers([*seen, *elsewhere])
    facts = [fact for space in read.values() for fact in link_facts(space.links, peers)]
    facts += [fact for space in read.values() for fact in space.facts]
    return Observation(
        state=frozenset(decode.complete(facts)),
        indexes={(one.ns, one.name): one.index for one in seen},
    )


def _elsewhere(spaces: Descriptors, seen: list[Link], unread: Iterable[str]) -> list[Link]:
    """The links of namespaces nobody asked for, if one of them must hold a veth's peer."""
    peers = Peers(seen)
    if all(peers.of(one) for one in seen if one.kind == "veth"):
        return []
    found: list[Link] = []
    for ns in sorted(unread):
        with entered(spaces.of(ns)), NetlinkSocket() as socket:
            found += _links(ns, socket)
    return found


def _read(ns: str, netns: int, sysctls: Iterable[Sysctl]) -> _Namespace:
    with entered(netns):
        with NetlinkSocket() as socket:
            links = _links(ns, socket)
            messages = list(_rest(socket, any(one.kind == "bridge" for one in links)))
        names = {one.index: one.name for one in links}
        facts = [*decode.facts(ns, messages, names), *_settings(ns, links, sysctls)]
        return _Namespace(links, [*facts, *_netfilter(ns)])


def _links(ns: str, socket: NetlinkSocket) -> list[Link]:
    return [link(ns, message) for message in socket.dump(uapi.RTM_GETLINK, _LINKS)]


def _rest(socket: NetlinkSocket, bridged: bool) -> Iterator[Message]:
    """All but the links; forwarding entries only where there is a bridge."""
    family = struct.pack("=B", AF_INET)
    yield from socket.dump(uapi.RTM_GETADDR, family + bytes(7))  # ifaddrmsg
    yield from socket.dump(uapi.RTM_GETROUTE, family + bytes(11))  # rtmsg
    yield from socket.dump(uapi.RTM_GETRULE, family + bytes(11))  # fib_rule_hdr
    yield from socket.dump(uapi.RTM_GETNEIGH, _NEIGHBOURS.pack(AF_INET, 0, 0, 0, 0))
    if bridged:
        yield from socket.dump(uapi.RTM_GETNEIGH, _NEIGHBOURS.pack(AF_BRIDGE, 0, 0, 0, 0))


def _settings(ns: str, links: Iterable[Link], wanted: Iterable[Sysctl]) -> Iterator[Sysctl]:
    """Sysctls: devices' own ones out of the link dump, others out of /proc."""
    devices = {one.name: one for one in links}
    for fact in wanted:
        value = _setting(fact, devices)
        if value is not None:
            yield Sysctl(ns=ns, name=fact.name, value=value)


def _setting(wanted: Sysctl, devices: Mapping[str, Link]) -> str | None:
    setting = devconf.device_setting(wanted.name)
    if setting is None:
        return sysctl.read(wanted.name)
    device = devices.get(setting.dev)
    if device is None:
        return None
    if setting.version == 6 and not device.ipv6_settings:
        return wanted.value
    value = devconf.value(setting, device.ipv4_settings, device.ipv6_settings)
    return value or sysctl.read(wanted.name)


def _netfilter(ns: str) -> State:
    """Rule sets.  Programs are started only where the kernel says there are tables (10 us)."""
    with NetlinkSocket(uapi.NETLINK_NETFILTER) as socket:
        dump = socket.dump(_NFTABLES | uapi.NFT_MSG_GETTABLE, struct.pack("=BBH", AF_UNSPEC, 0, 0))
    tables = {(message.body[0], _table(message)) for message in dump}
    iptables = {
        (family, name)
        for family, name in tables
        if family in (NFPROTO_IPV4, NFPROTO_IPV6) and name in IPTABLES_TABLES
    }
    if not tables:
        return frozenset()
    return netfilter.read(ns, iptables=bool(iptables), nft=tables != iptables)


def _table(message: Message) -> str:
    return text(attributes(message.body, 4)[uapi.NFTA_TABLE_NAME])  # 4: nfgenmsg
