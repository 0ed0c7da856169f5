"""Reads namespaces, each for itself: links and facts, 0.2 to 0.3 ms.  Needs CAP_SYS_ADMIN.

Only IPv4 is read, but for sysctls; those of a device without IPv6 are found as they are named, for
nothing is otherwise.  Left out is what the kernel does by itself: table local, learnt neighbours
and forwarding entries.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass, field
from socket import AF_UNSPEC

from testbed.kernel import sysctl
from testbed.kernel.namespaces.enter import enter, returning
from testbed.kernel.namespaces.store import Descriptors, NamespaceStore
from testbed.kernel.netlink import decode, devconf, dumped, shaping, uapi
from testbed.kernel.netlink.links import Link, Links
from testbed.kernel.netlink.socket import NetlinkSocket
from testbed.kernel.netlink.wire import attribute_u32, attributes, text
from testbed.kernel.read.expected import Expected
from testbed.kernel.rules import alike, elements, netfilter
from testbed.kernel.rules.nftables import Place
from testbed.net.facts import (
    Address,
    Chain,
    ChainRule,
    Fact,
    Fdb,
    Neighbour,
    NftElement,
    NftSet,
    Route,
    Rule,
    Sysctl,
)

IPTABLES_TABLES = frozenset({"filter", "nat", "mangle", "raw", "security"})
MANY_ELEMENTS = 500  # that take nft longer than a program more takes
NFPROTO_IPV4, NFPROTO_IPV6 = 2, 10  # linux/netfilter.h: the families of iptables and ip6tables

_LINKS = struct.pack("=BxHiII", AF_UNSPEC, 0, 0, 0, 0) + attribute_u32(
    uapi.IFLA_EXT_MASK, uapi.RTEXT_FILTER_SKIP_STATS
)
_NFTABLES = uapi.NFNL_SUBSYS_NFTABLES << 8

# An address is told with the route that the kernel has added to it, if it has.
_DECODED_TOGETHER: tuple[tuple[type[Fact], ...], ...] = (
    (Address, Route, Rule),
    (Neighbour,),
    (Fdb,),
)


@dataclass
class Namespace:
    """What was read in one namespace (state: it grows meanwhile); links' meaning needs others.

    as_planned: kinds of which there are just the planned facts; those are not told again.
    """

    ns: str
    links: list[Link]
    facts: list[Fact] = field(default_factory=list)
    as_planned: set[type[Fact]] = field(default_factory=set)
    dumps: dict[type[Fact], list[bytes]] = field(default_factory=dict)  # not decoded yet

    def __post_init__(self) -> None:
        """Number the devices."""
        self.indexes = {one.name: one.ifindex for one in self.links}

    @property
    def names(self) -> dict[int, str]:
        """The devices by their numbers."""
        return {index: name for name, index in self.indexes.items()}


def read_each(
    store: NamespaceStore, groups: Iterable[Sequence[str]], expected: Expected
) -> list[Namespace]:
    """What is in each of these namespaces.  Raises KernelError.

    The neighbours of a group are read one after the other: for each namespace the kernel walks
    those of all of them (net/core/neighbour.c: one table), 0.15 ms among 3,000 pods while it stays
    in the processor's cache, twice that beside others who need it.  A dump of one device alone
    walks the same table: neigh_dump_table filters afterwards.  That of neighbour tables'
    parameters takes twice as long.
    """
    known = Links()
    found: list[Namespace] = []
    with returning():
        for group in groups:
            found += _read_group(store, group, expected, known)
    return found


def _read_group(
    store: NamespaceStore, names: Sequence[str], expected: Expected, known: Links
) -> list[Namespace]:
    """Namespaces whose sockets are open at a time, one kind of dump after the other.

    (One namespace after the other takes a third more: each kind is other code, the kernel's and
    ours.)  Only where there are rule sets, or settings below /proc, the thread comes back.
    """
    with Descriptors(store) as spaces, ExitStack() as opened:
        sockets = []
        for ns in names:
            enter(spaces.of(ns))
            protocols = uapi.NETLINK_ROUTE, uapi.NETLINK_NETFILTER
            sockets.append([opened.enter_context(NetlinkSocket(one)) for one in protocols])
        read = [
            Namespace(ns, links_of(ns, route, known))
            for ns, (route, _) in zip(names, sockets, strict=True)
        ]
        for kind in decode.DUMPS:
            for space, (route, _) in zip(read, sockets, strict=True):
                _dump(kind, space, route)
        tables = [_tables(rules) for _, rules in sockets]
        for space, there in zip(read, tables, strict=True):
            if there or expected.of_kind(Sysctl, space.ns):
                enter(spaces.of(space.ns))
                _settings(space, expected)
                _netfilter(space, there, expected)
        for space, (route, _) in zip(read, sockets, strict=True):
            _decode(space, expected)
            _shapers(space, route)
    return read


def _dump(kind: type[Fact], space: Namespace, socket: NetlinkSocket) -> None:
    """Have a kind dumped; forwarding entries where a bridge is."""
    if kind is not Fdb or any(one.kind == "bridge" for one in space.links):
        space.dumps[kind] = [*decode.telling(kind, socket.dump(*decode.DUMPS[kind]))]


def _decode(space: Namespace, expected: Expected) -> None:
    """Add what was dumped, but for kinds of which just the planned facts are there."""
    for kinds in _DECODED_TOGETHER:
        dumps = {kind: space.dumps.pop(kind) for kind in kinds if kind in space.dumps}
        if all(_is_known(kind, dump, space, expected) for kind, dump in dumps.items()):
            space.as_planned.update(dumps)
        else:
            names = space.names
            space.facts += decode.complete(
                fact
                for kind, dump in dumps.items()
                for fact in decode.facts(space.ns, kind, dump, names)
            )


def _is_known(
    kind: type[Fact], dump: Iterable[bytes], space: Namespace, expected: Expected
) -> bool:
    """Whether a dump says just that the planned facts of a kind are there."""
    planned = expected.of_kind(kind, space.ns)
    return expected.whole and dumped.says(dump, kind, planned, space.indexes)


def links_of(ns: str, socket: NetlinkSocket, known: Links) -> list[Link]:
    """The links of the namespace that a socket was made in."""
    return [known.link(ns, body) for body in socket.dump(uapi.RTM_GETLINK, _LINKS)]


def _shapers(space: Namespace, socket: NetlinkSocket) -> None:
    shaped = [(one.ifindex, one.name) for one in space.links if one.queueing == shaping.HTB]
    space.facts += shaping.shapers(space.ns, shaped, socket.dump)


def _settings(space: Namespace, expected: Expected) -> None:
    """Add sysctls: devices' own ones out of the link dump, others out of /proc."""
    devices = {one.name: one for one in space.links}
    found = [(fact, _setting(fact, devices)) for fact in expected.of_kind(Sysctl, space.ns)]
    if expected.whole and all(fact.value == value for fact, value in found):
        space.as_planned.add(Sysctl)
    else:
        space.facts += (
            Sysctl(ns=space.ns, name=fact.name, value=value)
            for fact, value in found
            if value is not None
        )


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


def _tables(socket: NetlinkSocket) -> set[tuple[int, str]]:
    """Families and names of netfilter's tables in the socket's namespace."""
    request = struct.pack("=BBH", AF_UNSPEC, 0, 0)
    dump = socket.dump(_NFTABLES | uapi.NFT_MSG_GETTABLE, request)
    return {(body[0], text(attributes(body, 4)[uapi.NFTA_TABLE_NAME])) for body in dump}


def _netfilter(space: Namespace, tables: Set[tuple[int, str]], expected: Expected) -> None:
    """Add the rule sets in these tables of the namespace the thread is in."""
    if not tables:
        return
    iptables = {
        (family, name)
        for family, name in tables
        if family in (NFPROTO_IPV4, NFPROTO_IPV6) and name in IPTABLES_TABLES
    }
    if tables == iptables and all(family == NFPROTO_IPV4 for family, _ in tables):
        rules = alike.recognised(expected.original) if expected.original else None
        if rules is not None:
            _chains(space, rules, expected)
            return
    _read_by_programs(space, expected, iptables=bool(iptables), nft=tables != iptables)


def _chains(
    space: Namespace, rules: Mapping[Place, Sequence[ChainRule]], expected: Expected
) -> None:
    """Add chains with these rules."""
    planned = expected.of_kind(Chain, space.ns)
    known = {(one.table, one.name): [*one.rules] for one in planned if not one.policy}
    if expected.whole and known == rules and len(known) == len(planned):
        space.as_planned.add(Chain)
    else:
        space.facts += (
            Chain(ns=space.ns, table=table, name=name, rules=tuple(those))
            for (table, name), those in rules.items()
        )


def _read_by_programs(space: Namespace, expected: Expected, *, iptables: bool, nft: bool) -> None:
    """Add what `iptables-save` and `nft` list; many elements only if they are not as planned."""
    planned = expected.of_kind(NftElement, space.ns)
    if nft and expected.whole and len(planned) >= MANY_ELEMENTS:
        found = netfilter.read(space.ns, iptables=iptables, nft=True, elements=False)
        sets = [fact for fact in found if isinstance(fact, NftSet)]
        if elements.are(sets, planned):
            space.as_planned.add(NftElement)
            space.facts += found
            return
    space.facts += netfilter.read(space.ns, iptables=iptables, nft=nft)
