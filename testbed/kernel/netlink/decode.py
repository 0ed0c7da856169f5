"""Dumps of addresses, routes, rules and neighbours to facts.  Pure.

What no fact can say (a multipath route, a rule for a port) becomes a `Foreign`, to be seen.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from socket import AF_BRIDGE, AF_INET

from testbed.kernel.netlink import uapi
from testbed.kernel.netlink.wire import attributes, first_attribute, text, u32
from testbed.net.facts import (
    ANYWHERE,
    LOCAL,
    MAIN,
    Address,
    Fact,
    Fdb,
    Foreign,
    IpAddress,
    IpInterface,
    IpNetwork,
    Neighbour,
    Route,
    Rule,
)

Names = Mapping[int, str]  # the devices of one namespace by their numbers

_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # ndmsg: family, index, state, flags, type
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg; fib_rule_hdr has the same shape

DUMPS: Mapping[type[Fact], tuple[int, bytes]] = {
    Address: (uapi.RTM_GETADDR, _ADDRESS.pack(AF_INET, 0, 0, 0, 0)),
    Route: (uapi.RTM_GETROUTE, _ROUTE.pack(AF_INET, *bytes(8))),
    Rule: (uapi.RTM_GETRULE, _ROUTE.pack(AF_INET, *bytes(8))),
    Neighbour: (uapi.RTM_GETNEIGH, _NEIGHBOUR.pack(AF_INET, 0, 0, 0, 0)),
    Fdb: (uapi.RTM_GETNEIGH, _NEIGHBOUR.pack(AF_BRIDGE, 0, 0, 0, 0)),
}  # what the kernel is asked for all IPv4 facts of a kind

_NO_SUPPRESSION = b"\xff\xff\xff\xff"
_INTERNED = 1 << 16  # addresses remembered, so that equal ones are one object
_REPEATED = 256  # bodies remembered that many namespaces have

_ACTIONS = {number: name for name, number in uapi.RULE_ACTIONS.items()}

_ROUTE_ATTRIBUTES = frozenset(
    {
        uapi.RTA_DST,
        uapi.RTA_OIF,
        uapi.RTA_GATEWAY,
        uapi.RTA_PRIORITY,
        uapi.RTA_PREFSRC,
        uapi.RTA_TABLE,
        uapi.RTA_CACHEINFO,
        uapi.RTA_METRICS,
    }
)
_RULE_ATTRIBUTES = frozenset(
    {
        uapi.FRA_DST,
        uapi.FRA_SRC,
        uapi.FRA_IIFNAME,
        uapi.FRA_PRIORITY,
        uapi.FRA_FWMARK,
        uapi.FRA_FWMASK,
        uapi.FRA_TABLE,
        uapi.FRA_PROTOCOL,
        uapi.FRA_SUPPRESS_PREFIXLEN,
    }
)


def facts(ns: str, kind: type[Fact], dump: Iterable[bytes], names: Names) -> Iterator[Fact]:
    """The facts in a namespace's dump of a kind, but for what `telling` leaves out."""
    read = _READERS[kind]
    for body in telling(kind, dump):
        fact = read(ns, body, names)
        if fact:
            yield fact


def telling(kind: type[Fact], dump: Iterable[bytes]) -> Iterable[bytes]:
    """What is about a lab in the messages of a dump.

    Left out: table local, loopback's own address, what the kernel learnt by itself.
    """
    told = _TOLD.get(kind)
    return filter(told, dump) if told else dump


def complete(found: Iterable[Fact]) -> Iterator[Fact]:
    """`facts` of whole namespaces, with what takes more than one message to know.

    That is the number of a rule among equal ones, and whether an address has its connected route.
    """
    found = list(found)
    connected = {
        (fact.ns, fact.dev, fact.dst)
        for fact in found
        if isinstance(fact, Route) and fact.table == MAIN and fact.protocol == "kernel"
    }
    copies: dict[Rule, int] = {}
    for fact in found:
        match fact:
            case Rule() if fact in copies:
                copies[fact] += 1
                yield replace(fact, copy=copies[fact])
            case Rule():
                copies[fact] = 0
                yield fact
            case Address() if fact.ip.network.prefixlen < fact.ip.max_prefixlen:
                there = (fact.ns, fact.dev, fact.ip.network) in connected
                yield Address(ns=fact.ns, dev=fact.dev, ip=fact.ip, connected=there)
            case _:
                yield fact


def address(ns: str, body: bytes, names: Names) -> Fact:
    """An address of RTM_NEWADDR."""
    family, length, _, _, index = _ADDRESS.unpack_from(body)
    packed = first_attribute(body, uapi.IFA_LOCAL, _ADDRESS.size)
    return Address(ns=ns, dev=names[index], ip=interface(family, packed, length))


def route(ns: str, body: bytes, names: Names) -> Fact:
    """A route of RTM_NEWROUTE."""
    family, length, source, tos, table, protocol, scope, kind, flags = _ROUTE.unpack_from(body)
    found = attributes(body, _ROUTE.size)
    if uapi.RTA_TABLE in found:
        table = u32(found[uapi.RTA_TABLE])
    dst = network(family, found.get(uapi.RTA_DST, b""), length)
    more = _words(uapi.OTHER_ROUTE_ATTRIBUTES, found.keys() - _ROUTE_ATTRIBUTES)
    more += ["tos"] if tos else []
    metrics = attributes(found.get(uapi.RTA_METRICS, b""))
    more += ["metrics"] if metrics.keys() - {uapi.RTAX_MTU} else []
    if more or source or scope not in uapi.ROUTE_SCOPE_NAMES or kind not in uapi.ROUTE_KIND_NAMES:
        words = [f"{dst} table {table}", *more]
        return Foreign(ns=ns, kind="route", text=" ".join(words), message=body)
    return Route(
        ns=ns,
        dst=dst,
        table=table,
        kind=uapi.ROUTE_KIND_NAMES[kind],
        dev=names[u32(found[uapi.RTA_OIF])] if uapi.RTA_OIF in found else "",
        via=_optional(family, found.get(uapi.RTA_GATEWAY)),
        src=_optional(family, found.get(uapi.RTA_PREFSRC)),
        scope=uapi.ROUTE_SCOPE_NAMES[scope],
        protocol=uapi.ROUTE_PROTOCOL_NAMES.get(protocol) or str(protocol),
        metric=u32(found[uapi.RTA_PRIORITY]) if uapi.RTA_PRIORITY in found else 0,
        onlink=bool(flags & uapi.RTNH_F_ONLINK),
        mtu=u32(metrics[uapi.RTAX_MTU]) if metrics else 0,
    )


def rule(ns: str, body: bytes, _: Names) -> Fact:
    """A policy rule of RTM_NEWRULE."""
    read = _rule(body)
    if isinstance(read, Foreign):
        return Foreign(ns=ns, kind=read.kind, text=read.text, message=body)
    return Rule(
        ns=ns,
        priority=read.priority,
        table=read.table,
        src=read.src,
        dst=read.dst,
        fwmark=read.fwmark,
        fwmask=read.fwmask,
        iif=read.iif,
    )


@lru_cache(_REPEATED)
def _rule(body: bytes) -> Rule | Foreign:
    """A rule of no namespace yet: every one has the kernel's own three."""
    family, to, source, tos, table, _, _, action, flags = _ROUTE.unpack_from(body)
    found = attributes(body, _ROUTE.size)
    if uapi.FRA_TABLE in found:
        table = u32(found[uapi.FRA_TABLE])
    priority = u32(found[uapi.FRA_PRIORITY]) if uapi.FRA_PRIORITY in found else 0
    more = _words(uapi.OTHER_RULE_ATTRIBUTES, found.keys() - _RULE_ATTRIBUTES)
    if found.get(uapi.FRA_SUPPRESS_PREFIXLEN, _NO_SUPPRESSION) != _NO_SUPPRESSION:
        more.append("suppress_prefixlength")
    more += ["tos"] if tos else []
    more += ["not"] if flags & uapi.FIB_RULE_INVERT else []
    if more or action != uapi.RULE_ACTIONS["lookup"]:
        words = [f"{priority}:", _ACTIONS.get(action, str(action)), *more]
        return Foreign(ns="", kind="rule", text=" ".join(words), message=body)
    return Rule(
        ns="",
        priority=priority,
        table=table,
        src=network(family, found[uapi.FRA_SRC], source) if source else ANYWHERE,
        dst=network(family, found[uapi.FRA_DST], to) if to else ANYWHERE,
        fwmark=u32(found[uapi.FRA_FWMARK]) if uapi.FRA_FWMARK in found else 0,
        fwmask=u32(found[uapi.FRA_FWMASK]) if uapi.FRA_FWMASK in found else 0,
        iif=text(found.get(uapi.FRA_IIFNAME, b"")),
    )


def neighbour(ns: str, body: bytes, names: Names) -> Fact | None:
    """A permanent neighbour, or a bridge's static forwarding entry, of RTM_NEWNEIGH.

    None for one of a device that has come since `names` were read.
    """
    family, index, _, _, _ = _NEIGHBOUR.unpack_from(body)
    if index not in names:
        return None
    found = attributes(body, _NEIGHBOUR.size)
    mac = found.get(uapi.NDA_LLADDR, b"").hex(":")
    if family == AF_BRIDGE:
        return None if uapi.NDA_VLAN in found else Fdb(ns=ns, dev=names[index], mac=mac)
    return Neighbour(ns=ns, dev=names[index], ip=ip_address(family, found[uapi.NDA_DST]), mac=mac)


def _is_written(body: bytes) -> bool:
    """Whether somebody wrote a neighbour or forwarding entry.

    `bridge fdb` calls an entry of state NUD_NOARP static; the permanent ones are the ports' own.
    """
    family, _, state, flags, _ = _NEIGHBOUR.unpack_from(body)
    if family == AF_BRIDGE:
        return bool(state == uapi.NUD_NOARP)
    return bool(state == uapi.NUD_PERMANENT and not flags & uapi.NTF_PROXY)


def _is_elsewhere(body: bytes) -> bool:
    """Whether an address is another one than a loopback's own."""
    return not _is_loopback(body[0], first_attribute(body, uapi.IFA_LOCAL, _ADDRESS.size))


@lru_cache(_REPEATED)
def _is_loopback(family: int, packed: bytes) -> bool:
    return ip_address(family, packed).is_loopback


@lru_cache(_INTERNED)
def ip_address(family: int, packed: bytes) -> IpAddress:
    """An address out of its bytes."""
    return IPv4Address(packed) if family == AF_INET else IPv6Address(packed)


@lru_cache(_INTERNED)
def interface(family: int, packed: bytes, length: int) -> IpInterface:
    """An address with its prefix length."""
    if family == AF_INET:
        return IPv4Interface((packed, length))
    return IPv6Interface((packed, length))


@lru_cache(_INTERNED)
def network(family: int, packed: bytes, length: int) -> IpNetwork:
    """A prefix; no bytes at all stand for zero."""
    if family == AF_INET:
        return IPv4Network((packed or bytes(4), length))
    return IPv6Network((packed or bytes(16), length))


def _words(names: Mapping[int, str], attributes: Iterable[int]) -> list[str]:
    return [names.get(kind, f"attribute {kind}") for kind in sorted(attributes)]


def _optional(family: int, packed: bytes | None) -> IpAddress | None:
    return ip_address(family, packed) if packed else None


_TABLE = 4  # the byte of a rtmsg
_TOLD: Mapping[type[Fact], Callable[[bytes], bool]] = {
    Address: _is_elsewhere,
    Route: lambda body: body[_TABLE] != LOCAL,
    Neighbour: _is_written,
    Fdb: _is_written,
}
_READERS: Mapping[type[Fact], Callable[[str, bytes, Names], Fact | None]] = {
    Address: address,
    Route: route,
    Rule: rule,
    Neighbour: neighbour,
    Fdb: neighbour,
}
