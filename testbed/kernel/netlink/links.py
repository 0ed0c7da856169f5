"""The devices in a namespace's link dump.  Pure.

Thousands of veths answer with the same 1,100 bytes but for numbers, names and addresses. What one
of them was decoded to holds for all of them: 4 us a link instead of 30.
"""

import struct
import sys
from collections.abc import Mapping
from socket import AF_INET, AF_INET6
from typing import Any, NamedTuple, Optional

from testbed.kernel.netlink import uapi
from testbed.kernel.netlink.wire import attributes, spans, text, u32

_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, device type, index, flags, changed flags
_NOWHERE = slice(0)
_FLAGS = uapi.IFF_UP | uapi.IFF_PROMISC
_PORT = (
    uapi.IFLA_BRPORT_MODE,
    uapi.IFLA_BRPORT_LEARNING,
    uapi.IFLA_BRPORT_UNICAST_FLOOD,
    uapi.IFLA_BRPORT_PROXYARP,
    uapi.IFLA_BRPORT_MCAST_FLOOD,
    uapi.IFLA_BRPORT_BCAST_FLOOD,
)

# What `link` reads of shared attributes: all of one, or attributes inside it.
_Read = Mapping[int, Optional["_Read"]]
_SHARED: _Read = {
    uapi.IFLA_MTU: None,
    uapi.IFLA_QDISC: None,
    uapi.IFLA_MASTER: None,
    uapi.IFLA_LINKINFO: {
        uapi.IFLA_INFO_KIND: None,
        uapi.IFLA_INFO_SLAVE_DATA: dict.fromkeys(_PORT),
    },
    uapi.IFLA_AF_SPEC: {
        AF_INET: {uapi.IFLA_INET_CONF: None},
        AF_INET6: {uapi.IFLA_INET6_CONF: None},
    },
}


class Link(NamedTuple):
    """A device as its namespace's dump has it; those behind `peer_ifindex` are alike for many."""

    ns: str
    ifindex: int
    name: str
    mac: str = ""
    peer_ifindex: int = 0
    up: bool = False
    promisc: bool = False
    mtu: int = 0
    kind: str = ""
    peer_elsewhere: bool = False  # the peer is in another namespace
    master: int = 0
    port: frozenset[int] = frozenset()  # of IFLA_BRPORT_* those that are on
    ipv4_settings: bytes = b""
    ipv6_settings: bytes = b""
    queueing: str = ""  # the discipline at its root


_FIRST_SHARED = Link._fields.index("up")


class Links:
    """Decodes links, and remembers those that were like no earlier one (state: them)."""

    def __init__(self) -> None:
        self._shapes: dict[int, _Shape] = {}  # by length: the one met last
        self._known: dict[int, tuple[_Shape, tuple[Any, ...]]] = {}

    def link(self, ns: str, body: bytes) -> Link:
        """One message of a link dump."""
        last = self._shapes.get(len(body))
        known = self._known.get(last.shared(body)) if last else None
        if known:
            shape, like = known  # not the last one: `eth0` and `eth-1` have the same length here
            return Link(ns, *shape.own(body), *like)
        found = _link(ns, body)
        shape = self._shapes[len(body)] = _Shape(body)
        self._known[shape.shared(body)] = shape, found[_FIRST_SHARED:]
        return found


class _Shape:
    """Where in a message a link's own values are, and which bytes of the others are read.

    Among these are the lengths and types of all attributes: with others it is another shape.
    """

    def __init__(self, body: bytes) -> None:
        mask = bytearray(_LINK.pack(0, 0, 0, _FLAGS, 0).ljust(len(body), b"\0"))
        at = _marked(mask, body, slice(_LINK.size, len(body)), _SHARED)
        self._mask = int.from_bytes(mask, sys.byteorder)
        self._name = at[uapi.IFLA_IFNAME]
        self._mac = at.get(uapi.IFLA_ADDRESS, _NOWHERE)
        self._peer = at.get(uapi.IFLA_LINK, _NOWHERE)

    def shared(self, body: bytes) -> int:
        """All that is read of a link but its own values."""
        return int.from_bytes(body, sys.byteorder) & self._mask

    def own(self, body: bytes) -> tuple[int, str, str, int]:
        """Number, name, MAC and the peer's number."""
        return (
            _LINK.unpack_from(body)[2],
            text(body[self._name]),
            body[self._mac].hex(":"),
            int.from_bytes(body[self._peer], sys.byteorder),
        )


def _marked(mask: bytearray, data: bytes, part: slice, read: _Read) -> dict[int, slice]:
    """Mark the heads of the attributes in a part, and what is read; where the values are."""
    found = {}
    for kind, head, value in spans(data, part):
        found[kind] = value
        mask[head] = b"\xff" * (head.stop - head.start)
        inside = read.get(kind, {})
        if inside is None:
            mask[value] = b"\xff" * (value.stop - value.start)
        elif inside:
            _marked(mask, data, value, inside)
    return found


def _link(ns: str, body: bytes) -> Link:
    _, _, index, flags, _ = _LINK.unpack_from(body)
    found = attributes(body, _LINK.size)
    info = attributes(found.get(uapi.IFLA_LINKINFO, b""))
    port = attributes(info.get(uapi.IFLA_INFO_SLAVE_DATA, b""))
    families = attributes(found.get(uapi.IFLA_AF_SPEC, b""))
    return Link(
        ns=ns,
        ifindex=index,
        name=text(found[uapi.IFLA_IFNAME]),
        mac=found.get(uapi.IFLA_ADDRESS, b"").hex(":"),
        peer_ifindex=_number(found, uapi.IFLA_LINK),
        up=bool(flags & uapi.IFF_UP),
        promisc=bool(flags & uapi.IFF_PROMISC),
        mtu=u32(found[uapi.IFLA_MTU]),
        kind=text(info.get(uapi.IFLA_INFO_KIND, b"")),
        peer_elsewhere=uapi.IFLA_LINK_NETNSID in found,
        master=_number(found, uapi.IFLA_MASTER),
        port=frozenset(kind for kind in _PORT if port.get(kind, b"\0") != b"\0"),
        ipv4_settings=attributes(families.get(AF_INET, b"")).get(uapi.IFLA_INET_CONF, b""),
        ipv6_settings=attributes(families.get(AF_INET6, b"")).get(uapi.IFLA_INET6_CONF, b""),
        queueing=text(found.get(uapi.IFLA_QDISC, b"")),
    )


def _number(found: Mapping[int, bytes], kind: int) -> int:
    return u32(found[kind]) if kind in found else 0
