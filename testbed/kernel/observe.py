"""Reads facts back from the kernel: 0.2 to 0.3 ms for a namespace.  Needs CAP_SYS_ADMIN."""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from socket import AF_BRIDGE, AF_INET, AF_UNSPEC

from testbed.kernel import sysctl
from testbed.kernel.namespaces import Descriptors, NamespaceStore, enter, returning
from testbed.kernel.netlink import decode, devconf, uapi
from testbed.kernel.netlink.decode_links import Link, Peers, link, link_facts
from testbed.kernel.netlink.layouts import Layouts
from testbed.kernel.netlink.socket import NetlinkSocket
from testbed.kernel.netlink.wire import Message, attribute_u32, attributes, text
from testbed.kernel.rules import alike, netfilter
from testbed.net.changes import LinkName
from testbed.net.facts import Chain, Fact, State, Sysctl

# Two thirds of reading is the kernel's work and needs no interpreter: for each namespace it walks
# the neighbours of all of them (net/core/neighbour.c: one table), 0.2 ms among 3,000 pods. A dump
# of one device alone (NDA_IFINDEX) walks the same table: neigh_dump_table filters afterwards.
READERS = 2
MANY = 64  # namespaces that are worth threads

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
class _Expected:
    """What helps to read: the sysctls to ask for, the rules to recognise."""

    sysctls: Mapping[str, Sequence[Sysctl]]
    original: alike.Original | None


@dataclass(frozen=True)
class _Namespace:
    """What was read in one namespace."""

    links: list[Link]
    facts: list[Fact]


def observe(
    store: NamespaceStore,
    names: Iterable[str] | None = None,
    sysctls: Iterable[Sysctl] = (),
    near: Iterable[str] = (),
    chains: Iterable[Chain] = (),
) -> Observation:
    """The facts in these namespaces (None: in all), and of the sysctls the ones named.

    Only IPv4 is read, but for sysctls; those of a device without IPv6 are found as they are named,
    for nothing is otherwise.  Left out is what the kernel does by itself: table local, learnt
    neighbours and forwarding entries, veths whose peers' namespaces are gone.  Raises KernelError.
    near: where veths' peers are to be looked for first.
    chains: what is likely to be found; no program is started where there is nothing else.
    """
    wanted: dict[str, list[Sysctl]] = {}
    for fact in sysctls:
        wanted.setdefault(fact.ns, []).append(fact)
    everywhere = store.names()
    asked = everywhere if names is None else frozenset(names)
    read = _read_all(store, sorted(asked), _Expected(wanted, alike.original_of(chains)))
    seen = [one for space in read for one in space.links]
    unread = everywhere - asked
    first = [ns for ns in near if ns in unread]
    elsewhere = _elsewhere(store, seen, [*first, *sorted(unread.difference(first))])
    peers = Peers([*seen, *elsewhere])
    facts = [fact for space in read for fact in link_facts(space.links, peers)]
    facts += [fact for space in read for fact in space.facts]
    return Observation(
        state=frozenset(facts),
        indexes={(one.ns, one.name): one.index for one in seen},
    )


def _read_all(
    store: NamespaceStore, names: Sequence[str], expected: _Expected
) -> list[_Namespace]:
    """What is in each namespace; many are shared out to threads."""

    def read_some(share: Sequence[str]) -> list[_Namespace]:
        layouts = Layouts()
        with Descriptors(store) as spaces, returning():
            found = []
            for ns in share:
                enter(spaces.of(ns))
                found.append(_read(ns, expected, layouts))
        return found

    if len(names) < MANY:
        return read_some(names)
    with ThreadPoolExecutor(READERS) as threads:
        shares = [names[start::READERS] for start in range(READERS)]
        return [one for found in threads.map(read_some, shares) for one in found]


def _elsewhere(store: NamespaceStore, seen: list[Link], unread: Iterable[str]) -> list[Link]:
    """The links of namespaces nobody asked for, until each veth's peer is among them."""
    peers, veths = Peers(seen), (one for one in seen if one.kind == "veth")
    alone = {(one.peer_index, one.index) for one in veths if not peers.of(one)}
    found: list[Link] = []
    layouts = Layouts()
    with Descriptors(store) as spaces, returning():
        for ns in unread:
            if not alone:
                break
            enter(spaces.of(ns))
            with NetlinkSocket() as socket:
                links = _links(ns, socket, layouts)
            alone -= {(one.index, one.peer_index) for one in links}
            found += links
    return found


def _read(ns: str, expected: _Expected, layouts: Layouts) -> _Namespace:
    """What is in the namespace the thread is in."""
    with NetlinkSocket() as socket:
        links = _links(ns, socket, layouts)
        messages = list(_rest(socket, any(one.kind == "bridge" for one in links)))
    names = {one.index: one.name for one in links}
    facts = list(decode.complete(decode.facts(ns, messages, names)))
    facts += _settings(ns, links, expected.sysctls.get(ns, ()))
    facts += _netfilter(ns, expected.original)
    return _Namespace(links, facts)


def _links(ns: str, socket: NetlinkSocket, layouts: Layouts) -> list[Link]:
    return [link(ns, message, layouts) for message in socket.dump(uapi.RTM_GETLINK, _LINKS)]


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


def _netfilter(ns: str, original: alike.Original | None) -> State:
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
    if original and all(family == NFPROTO_IPV4 for family, _ in tables) and tables == iptables:
        chains = alike.recognised(ns, original)
        if chains is not None:
            return chains
    return netfilter.read(ns, iptables=bool(iptables), nft=tables != iptables)


def _table(message: Message) -> str:
    return text(attributes(message.body, 4)[uapi.NFTA_TABLE_NAME])  # 4: nfgenmsg
