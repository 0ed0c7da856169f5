"""Facts to netlink messages.  Pure.

Numbers of devices come from the caller, who chooses them: so a link, its addresses and its routes
fit into one batch and nothing has to be read back in between.
"""

import struct
from collections.abc import Mapping
from functools import singledispatch
from socket import AF_BRIDGE, AF_INET, AF_INET6

from testbed.kernel.netlink import devconf, encode_links, shaping, uapi
from testbed.kernel.netlink.encode_links import mac_bytes
from testbed.kernel.netlink.wire import (
    attribute,
    attribute_text,
    attribute_u32,
    message,
)
from testbed.net.facts import (
    Address,
    Bridge,
    BridgePort,
    Fact,
    Fdb,
    Foreign,
    IpAddress,
    IpNetwork,
    Neighbour,
    Netns,
    Route,
    Rule,
    Sysctl,
    Veth,
)
from testbed.net.shaping import Shaper

Indexes = Mapping[str, int]  # the devices of one namespace and their numbers

ALL_BITS = 0xFFFFFFFF
LARGEST_SMALL_TABLE = 255  # rtm_table and the rule's table are one byte; RTA_TABLE takes over

_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # ndmsg: family, index, state, flags, type
# rtmsg: family, lengths of dst and src, tos, table, protocol, scope, kind, flags
# fib_rule_hdr: family, lengths of dst and src, tos, table, 0, 0, action, flags
_ROUTE = _RULE = struct.Struct("=BBBBBBBBI")

_PUT = uapi.NLM_F_CREATE | uapi.NLM_F_REPLACE
_APPEND = uapi.NLM_F_CREATE | uapi.NLM_F_APPEND


@singledispatch
def written(fact: Fact, indexes: Indexes) -> list[bytes]:
    """The messages that make a fact so, also over an earlier version of it.

    Rules are the exception: written twice they are there twice.  Links are in `encode_links`.
    Raises KeyError for a device without a number.
    """
    raise NotImplementedError(f"{type(fact).__name__} is not written by rtnetlink")


@written.register
def _(fact: Netns, indexes: Indexes) -> list[bytes]:
    return [encode_links.loopback_state(fact)]


@written.register
def _(fact: BridgePort, indexes: Indexes) -> list[bytes]:
    return encode_links.port(fact, indexes[fact.dev], indexes[fact.bridge])


@written.register
def _(fact: Sysctl, indexes: Indexes) -> list[bytes]:
    """Only for a device's own sysctls that `devconf` calls settable."""
    wanted = devconf.device_setting(fact.name)
    if wanted is None or not wanted.settable:
        raise NotImplementedError(f"{fact.name} is not written by rtnetlink")
    number = devconf.IPV4_SETTINGS[wanted.setting]
    conf = attribute(uapi.IFLA_INET_CONF, attribute_u32(number, int(fact.value) & ALL_BITS))
    return [encode_links.family_settings(indexes[wanted.dev], attribute(AF_INET, conf))]


@written.register
def _(fact: Address, indexes: Indexes) -> list[bytes]:
    return [message(uapi.RTM_NEWADDR, _PUT, _address(fact, indexes))]


@written.register
def _(fact: Neighbour, indexes: Indexes) -> list[bytes]:
    return [message(uapi.RTM_NEWNEIGH, _PUT, _neighbour(fact, indexes))]


@written.register
def _(fact: Fdb, indexes: Indexes) -> list[bytes]:
    return [message(uapi.RTM_NEWNEIGH, _PUT, _fdb(fact, indexes))]


@written.register
def _(fact: Route, indexes: Indexes) -> list[bytes]:
    # connected routes of two devices in one subnet have equal keys, but stand side by side
    how = _APPEND if fact.protocol == "kernel" else _PUT
    return [message(uapi.RTM_NEWROUTE, how, _route(fact, indexes))]


@written.register
def _(fact: Rule, indexes: Indexes) -> list[bytes]:
    # no NLM_F_EXCL: it makes the kernel compare with every rule (240 us a rule at 10,000 rules)
    return [message(uapi.RTM_NEWRULE, uapi.NLM_F_CREATE, _rule(fact))]


@written.register
def _(fact: Shaper, indexes: Indexes) -> list[bytes]:
    return shaping.written(fact, indexes[fact.dev])


@singledispatch
def removed(fact: Fact, indexes: Indexes) -> bytes:
    """The message that ends a fact.  Raises KeyError for a device without a number."""
    raise NotImplementedError(f"{type(fact).__name__} is not removed by rtnetlink")


@removed.register(Veth)
@removed.register(Bridge)
def _(fact: Veth | Bridge, indexes: Indexes) -> bytes:
    return encode_links.removed(indexes[fact.name])


@removed.register
def _(fact: BridgePort, indexes: Indexes) -> bytes:
    return encode_links.no_port(indexes[fact.dev])


@removed.register
def _(fact: Address, indexes: Indexes) -> bytes:
    return message(uapi.RTM_DELADDR, 0, _address(fact, indexes))


@removed.register
def _(fact: Neighbour, indexes: Indexes) -> bytes:
    return message(uapi.RTM_DELNEIGH, 0, _neighbour(fact, indexes))


@removed.register
def _(fact: Fdb, indexes: Indexes) -> bytes:
    return message(uapi.RTM_DELNEIGH, 0, _fdb(fact, indexes))


@removed.register
def _(fact: Route, indexes: Indexes) -> bytes:
    return message(uapi.RTM_DELROUTE, 0, _route(fact, indexes))


@removed.register
def _(fact: Rule, indexes: Indexes) -> bytes:
    return message(uapi.RTM_DELRULE, 0, _rule(fact))


@removed.register
def _(fact: Shaper, indexes: Indexes) -> bytes:
    return shaping.removed(indexes[fact.dev])


@removed.register
def _(fact: Foreign, indexes: Indexes) -> bytes:
    kinds = {"link": uapi.RTM_DELLINK, "route": uapi.RTM_DELROUTE, "rule": uapi.RTM_DELRULE}
    return message(kinds[fact.kind], 0, fact.message)


def _family(address: IpAddress | IpNetwork) -> int:
    return AF_INET if address.version == 4 else AF_INET6


def _address(fact: Address, indexes: Indexes) -> bytes:
    ip = fact.ip.packed
    body = _ADDRESS.pack(_family(fact.ip), fact.ip.network.prefixlen, 0, 0, indexes[fact.dev])
    return body + attribute(uapi.IFA_LOCAL, ip) + attribute(uapi.IFA_ADDRESS, ip)


def _neighbour(fact: Neighbour, indexes: Indexes) -> bytes:
    body = _NEIGHBOUR.pack(_family(fact.ip), indexes[fact.dev], uapi.NUD_PERMANENT, 0, 0)
    return (
        body
        + attribute(uapi.NDA_DST, fact.ip.packed)
        + attribute(uapi.NDA_LLADDR, mac_bytes(fact.mac))
    )


def _fdb(fact: Fdb, indexes: Indexes) -> bytes:
    """What `bridge fdb add MAC dev PORT master static` sends."""
    body = _NEIGHBOUR.pack(AF_BRIDGE, indexes[fact.dev], uapi.NUD_NOARP, uapi.NTF_MASTER, 0)
    return body + attribute(uapi.NDA_LLADDR, mac_bytes(fact.mac))


def _route(fact: Route, indexes: Indexes) -> bytes:
    small = fact.table <= LARGEST_SMALL_TABLE
    length = fact.dst.prefixlen
    body = _ROUTE.pack(
        _family(fact.dst),
        length,
        0,
        0,
        fact.table if small else uapi.RT_TABLE_UNSPEC,
        protocol_number(fact.protocol),
        uapi.ROUTE_SCOPES[fact.scope],
        uapi.ROUTE_KINDS[fact.kind],
        uapi.RTNH_F_ONLINK if fact.onlink else 0,
    )
    if length:
        body += attribute(uapi.RTA_DST, fact.dst.network_address.packed)
    if not small:
        body += attribute_u32(uapi.RTA_TABLE, fact.table)
    if fact.via:
        body += attribute(uapi.RTA_GATEWAY, fact.via.packed)
    if fact.dev:
        body += attribute_u32(uapi.RTA_OIF, indexes[fact.dev])
    if fact.src:
        body += attribute(uapi.RTA_PREFSRC, fact.src.packed)
    if fact.metric:
        body += attribute_u32(uapi.RTA_PRIORITY, fact.metric)
    if fact.mtu:
        body += attribute(uapi.RTA_METRICS, attribute_u32(uapi.RTAX_MTU, fact.mtu))
    return body


def protocol_number(name: str) -> int:
    """The number of a route's protocol; one without a name is given as its number."""
    return int(name) if name.isdecimal() else uapi.ROUTE_PROTOCOLS[name]


def _rule(fact: Rule) -> bytes:
    small = fact.table <= LARGEST_SMALL_TABLE
    to, source = fact.dst.prefixlen, fact.src.prefixlen
    family = AF_INET6 if 6 in (fact.dst.version, fact.src.version) else AF_INET
    table = fact.table if small else uapi.RT_TABLE_UNSPEC
    body = _RULE.pack(family, to, source, 0, table, 0, 0, uapi.RULE_ACTIONS["lookup"], 0)
    body += attribute_u32(uapi.FRA_PRIORITY, fact.priority)
    if to:
        body += attribute(uapi.FRA_DST, fact.dst.network_address.packed)
    if source:
        body += attribute(uapi.FRA_SRC, fact.src.network_address.packed)
    if not small:
        body += attribute_u32(uapi.FRA_TABLE, fact.table)
    if fact.fwmark or fact.fwmask:
        body += attribute_u32(uapi.FRA_FWMARK, fact.fwmark)
        body += attribute_u32(uapi.FRA_FWMASK, fact.fwmask)
    if fact.iif:
        body += attribute_text(uapi.FRA_IIFNAME, fact.iif)
    return body
