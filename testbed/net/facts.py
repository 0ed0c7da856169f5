"""The desired kernel as facts: one frozen class per kind of kernel object; a `State` is a set.

A fact has an identity (`key`): a veth whose MTU changed is an update, not a new veth.  `why` names
the behaviour a fact imitates and its source; it takes no part in equality.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from operator import attrgetter
from typing import ClassVar

IpAddress = IPv4Address | IPv6Address
IpInterface = IPv4Interface | IPv6Interface
IpNetwork = IPv4Network | IPv6Network

MAIN = 254  # the kernel's own numbers: /etc/iproute2/rt_tables
LOCAL = 255
DEFAULT_TABLE = 253
PERMANENT = "PERMANENT"
ANYWHERE = IPv4Network("0.0.0.0/0")

OF_DEVICE = re.compile(
    r"net\.ipv(?P<version>[46])\.(?P<kind>conf|neigh)"
    r"\.(?!(?:all|default)\.[^.]+$)(?P<dev>.+)\.(?P<setting>[^.]+)"
)  # the name of a device's own sysctl

Key = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that is so in one network namespace."""

    identity: ClassVar[tuple[str, ...]] = ("ns",)
    identify: ClassVar[Callable[["Fact"], object]]  # its values, of a fact of the kind

    ns: str
    why: str = field(default="", compare=False, repr=False)

    def __init_subclass__(cls) -> None:
        cls.identify = attrgetter(*cls.identity)

    @property
    def key(self) -> Key:
        """What makes it this object; facts of equal key and unequal values are an update."""
        return type(self).__name__, type(self).identify(self)


State = frozenset[Fact]


@dataclass(frozen=True, slots=True, kw_only=True)
class Netns(Fact):
    """A network namespace, its loopback up."""

    up: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Veth(Fact):
    """One end of a veth pair, up; the other end is a fact of its own in `peer_ns`."""

    identity = ("ns", "name")

    name: str
    peer_ns: str
    peer: str
    mac: str
    mtu: int
    up: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge(Fact):
    """A Linux bridge, up, without STP.  promisc: it takes what it forwards itself as well."""

    identity = ("ns", "name")

    name: str
    mac: str
    mtu: int
    up: bool = True
    promisc: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgePort(Fact):
    """A link enslaved to a bridge, with the port's flags as `bridge -d link` names them."""

    identity = ("ns", "dev")

    dev: str
    bridge: str
    learning: bool = True
    flood: bool = True  # unknown unicast, multicast and broadcast alike
    proxy_arp: bool = False
    hairpin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Address(Fact):
    """An address on a link.  `connected=False`: the kernel's connected route was deleted again."""

    identity = ("ns", "dev", "ip")

    dev: str
    ip: IpInterface
    connected: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour(Fact):
    """A neighbour entry.  Wanted ones are permanent; what a kernel learns has another state."""

    identity = ("ns", "dev", "ip")

    dev: str
    ip: IpAddress
    mac: str
    state: str = PERMANENT  # as `ip neigh` prints it


@dataclass(frozen=True, slots=True, kw_only=True)
class Fdb(Fact):
    """A static forwarding entry: the bridge sends `mac` out of port `dev`."""

    identity = ("ns", "dev", "mac")

    dev: str
    mac: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Fact):
    """A route; scope, protocol and kind by iproute2's names, as `ip route` prints them.

    mtu: in bytes, the most that goes this way; 0 leaves it to the device.
    """

    identity = ("ns", "table", "dst", "metric")

    dst: IpNetwork
    table: int = MAIN
    kind: str = "unicast"  # or blackhole, throw, unreachable, prohibit
    dev: str = ""
    via: IpAddress | None = None
    src: IpAddress | None = None
    scope: str = "global"  # or link, host
    protocol: str = "boot"  # what `ip route add` and netlink libraries leave; kernel, static, dhcp
    metric: int = 0
    onlink: bool = False
    mtu: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Fact):
    """A routing policy rule `priority: from src to dst fwmark iif lookup table`.

    copy: the kernel accepts equal rules; the n-th equal one that was read carries n.
    """

    identity = ("ns", "priority", "src", "dst", "fwmark", "fwmask", "iif", "table", "copy")

    priority: int
    table: int
    src: IpNetwork = ANYWHERE
    dst: IpNetwork = ANYWHERE
    fwmark: int = 0
    fwmask: int = 0
    iif: str = ""
    copy: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sysctl(Fact):
    """A sysctl of the namespace: key with dots (`net.ipv4.ip_forward`), value as text.

    A link's name in a key is its third label, dots and all: `net.ipv4.conf.eth0.rp_filter`.
    """

    identity = ("ns", "name")

    name: str
    value: str

    @property
    def dev(self) -> str:
        """The device it belongs to; empty for the namespace's own (`all`, `default` too)."""
        match = OF_DEVICE.fullmatch(self.name)
        return match["dev"] if match else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign(Fact):
    """Something found in the kernel that no other class describes; never wanted, only removed."""

    identity = ("ns", "kind", "message")

    kind: str  # link, route, rule
    text: str  # about what `ip` prints
    message: bytes = field(repr=False)  # the body of the kernel's own message: what removes it


@dataclass(frozen=True, slots=True)
class ChainRule:
    """One rule of a chain, as `iptables-save` or `nft list` prints it (without `-A CHAIN`)."""

    text: str
    why: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain(Fact):
    """An iptables chain with all its rules in order.

    `policy`: only of a built-in chain, and only when it is not ACCEPT.  A built-in chain without
    rules and with policy ACCEPT is no fact: it is there (or not) without being made.
    Its hash is that of its name: hundreds of rules would be hashed for every set it is in.
    """

    identity = ("ns", "table", "name")

    table: str  # filter, nat, mangle, raw
    name: str
    rules: tuple[ChainRule, ...] = field(default=(), hash=False)
    policy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainPiece(Fact):
    """One owner's rules in a built-in chain that several share (the CNI, kube-proxy, portmap).

    The chain holds the pieces in the order of `position`, then of `owner`.
    """

    identity = ("ns", "table", "chain", "owner")

    table: str
    chain: str
    owner: str
    position: int
    rules: tuple[ChainRule, ...] = field(hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NftSet(Fact):
    """An nft set, or a map when `value_type` is given; its elements are facts of their own."""

    identity = ("ns", "family", "table", "name")

    family: str  # ip, ip6, inet, bridge, netdev
    table: str
    name: str
    key_type: str  # `ifname . ether_addr . ipv4_addr`, or `typeof iifname . ether saddr`
    value_type: str = ""
    flags: str = ""  # interval
    options: tuple[str, ...] = ()  # its other lines: `size 65535`, `timeout 3h`, `auto-merge`


@dataclass(frozen=True, slots=True, kw_only=True)
class NftElement(Fact):
    """An element of a set (`value` empty) or of a map, spelt as nft prints it."""

    identity = ("ns", "family", "table", "set", "element")

    family: str
    table: str
    set: str
    element: str
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NftChain(Fact):
    """An nft chain with all its rules in order; `hook` is empty for a chain that is jumped to."""

    identity = ("ns", "family", "table", "name")

    family: str
    table: str
    name: str
    hook: str = ""  # `type filter hook prerouting priority -300; policy accept;`
    rules: tuple[ChainRule, ...] = field(default=(), hash=False)
