"""What the kernel's dumps say of facts, byte for byte.  Pure.

A dump that says just what is planned need not be decoded: 1 us a fact instead of 15.  It is known
if its attributes come in the order in which Linux has always put them (net/ipv4: fib_dump_info,
fib4_rule_fill, inet_fill_ifaddr; net/core: fib_nl_fill_rule, neigh_fill_info).  Any other is
decoded, and the same is found.  Only IPv4.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from socket import AF_INET
from typing import Any

from testbed.kernel.netlink import uapi
from testbed.kernel.netlink.encode import Indexes, protocol_number
from testbed.kernel.netlink.encode_links import mac_bytes
from testbed.kernel.netlink.wire import attribute, attribute_text, attribute_u32
from testbed.net.drift.diff import DEFAULT_RULES
from testbed.net.facts import Address, Fact, IpNetwork, Neighbour, Route, Rule

_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # ndmsg: family, index, state, flags, type
# rtmsg: family, lengths of dst and src, tos, table, protocol, scope, kind, flags; fib_rule_hdr
_ROUTE = struct.Struct("=BBBBBBBBI")
_LARGEST_TABLE, _LARGER = 255, 252  # rtnetlink.h: RT_TABLE_COMPAT stands for larger numbers

_SUPPRESS_NOTHING = attribute_u32(uapi.FRA_SUPPRESS_PREFIXLEN, 0xFFFFFFFF)
_FROM_THE_KERNEL = bytes([uapi.ROUTE_PROTOCOLS["kernel"]])

_TIMES = -20  # when an address was made comes last: IFA_CACHEINFO
_NEIGHBOUR_KIND = 11  # the byte of an ndmsg: of the kernel's route to it, to its own address 2
_NEIGHBOUR_TIMES = 32  # behind NDA_LLADDR


def says(
    bodies: Iterable[bytes], kind: type[Fact], planned: Iterable[Fact], indexes: Indexes
) -> bool:
    """Whether these messages say just that the planned facts of a kind are there, each once.

    bodies: of one namespace's dump, but for those that hold no fact.
    """
    if kind not in _SAID:
        return False
    try:
        expected = [said(fact, indexes) for fact in planned]
    except KeyError:  # its device is not there
        return False
    if kind is Rule:
        expected += _DEFAULT_RULES
    return sorted(map(_WITHOUT_TIMES[kind], bodies)) == sorted(expected)


def said(fact: Fact, indexes: Indexes) -> bytes:
    """The body of the message for a fact, without the times the kernel keeps.

    Raises KeyError for a device without a number.
    """
    return _SAID[type(fact)](fact, indexes)


def _address(fact: Address, indexes: Indexes) -> bytes:
    ip = fact.ip.packed
    flags = uapi.IFA_F_PERMANENT
    return (
        _ADDRESS.pack(AF_INET, fact.ip.network.prefixlen, flags, 0, indexes[fact.dev])
        + attribute(uapi.IFA_ADDRESS, ip)
        + attribute(uapi.IFA_LOCAL, ip)
        + attribute_text(uapi.IFA_LABEL, fact.dev)
        + attribute_u32(uapi.IFA_FLAGS, flags)
    )


def _neighbour(fact: Neighbour, indexes: Indexes) -> bytes:
    return (
        _NEIGHBOUR.pack(AF_INET, indexes[fact.dev], uapi.NUD_PERMANENT, 0, 0)
        + attribute(uapi.NDA_DST, fact.ip.packed)
        + attribute(uapi.NDA_LLADDR, mac_bytes(fact.mac))
    )


def _route(fact: Route, indexes: Indexes) -> bytes:
    table, length = fact.table, fact.dst.prefixlen
    said = _ROUTE.pack(
        AF_INET,
        length,
        0,
        0,
        table if table <= _LARGEST_TABLE else _LARGER,
        protocol_number(fact.protocol),
        uapi.ROUTE_SCOPES[fact.scope],
        uapi.ROUTE_KINDS[fact.kind],
        uapi.RTNH_F_ONLINK if fact.onlink else 0,
    ) + attribute_u32(uapi.RTA_TABLE, table)
    if length:
        said += _prefix(uapi.RTA_DST, fact.dst)
    if fact.metric:
        said += attribute_u32(uapi.RTA_PRIORITY, fact.metric)
    if fact.mtu:
        said += attribute(uapi.RTA_METRICS, attribute_u32(uapi.RTAX_MTU, fact.mtu))
    if fact.src:
        said += attribute(uapi.RTA_PREFSRC, fact.src.packed)
    if fact.via:
        said += attribute(uapi.RTA_GATEWAY, fact.via.packed)
    if fact.dev:
        said += attribute_u32(uapi.RTA_OIF, indexes[fact.dev])
    return said


def _rule(fact: Rule, _indexes: Indexes, protocol: bytes = b"\0") -> bytes:
    table, to, source = fact.table, fact.dst.prefixlen, fact.src.prefixlen
    small = table if table <= _LARGEST_TABLE else _LARGER
    said = (
        _ROUTE.pack(AF_INET, to, source, 0, small, 0, 0, uapi.RULE_ACTIONS["lookup"], 0)
        + attribute_u32(uapi.FRA_TABLE, table)
        + _SUPPRESS_NOTHING
        + attribute(uapi.FRA_PROTOCOL, protocol)
    )
    if fact.iif:
        said += attribute_text(uapi.FRA_IIFNAME, fact.iif)
    if fact.priority:
        said += attribute_u32(uapi.FRA_PRIORITY, fact.priority)
    if fact.fwmark:
        said += attribute_u32(uapi.FRA_FWMARK, fact.fwmark)
    if fact.fwmark or fact.fwmask:
        said += attribute_u32(uapi.FRA_FWMASK, fact.fwmask)
    if to:
        said += _prefix(uapi.FRA_DST, fact.dst)
    if source:
        said += _prefix(uapi.FRA_SRC, fact.src)
    return said


def _prefix(kind: int, prefix: IpNetwork) -> bytes:
    return attribute(kind, prefix.network_address.packed)


_SAID: Mapping[type[Fact], Callable[[Any, Indexes], bytes]] = {
    Address: _address,
    Neighbour: _neighbour,
    Route: _route,
    Rule: _rule,
}
_WITHOUT_TIMES: Mapping[type[Fact], Callable[[bytes], bytes]] = {
    Address: lambda body: body[:_TIMES],
    Neighbour: lambda body: (
        body[:_NEIGHBOUR_KIND] + b"\0" + body[_NEIGHBOUR_KIND + 1 : _NEIGHBOUR_TIMES]
    ),
    Route: bytes,
    Rule: bytes,
}
_DEFAULT_RULES = [
    _rule(Rule(ns="", priority=priority, table=table), {}, _FROM_THE_KERNEL)
    for priority, table in DEFAULT_RULES
]
