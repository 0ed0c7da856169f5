"""Links to netlink messages.  Pure.  Whoever sends them chooses the links' numbers."""

import struct
from dataclasses import replace
from socket import AF_UNSPEC

from testbed.kernel.netlink import uapi
from testbed.kernel.netlink.wire import (
    attribute,
    attribute_text,
    attribute_u8,
    attribute_u32,
    message,
)
from testbed.net.facts import Bridge, BridgePort, Netns, Veth

LOOPBACK_INDEX = 1  # include/net/net_namespace.h: LOOPBACK_IFINDEX
ETH0_INDEX = 3  # of a pod: CNI plugins make the pair there, and first (2) the end that they move

BRIDGE_FLAGS = uapi.IFF_UP | uapi.IFF_PROMISC  # of all flags the ones a bridge's fact tells

_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, device type, index, flags, flags to change
_NEW = uapi.NLM_F_CREATE | uapi.NLM_F_EXCL
_VETH = attribute_text(uapi.IFLA_INFO_KIND, "veth")
# the default of one queue per CPU costs two RCU waits a pair
_ONE_QUEUE = attribute_u32(uapi.IFLA_NUM_TX_QUEUES, 1) + attribute_u32(uapi.IFLA_NUM_RX_QUEUES, 1)


def mac_bytes(text: str) -> bytes:
    """`02:00:00:00:00:01` as six bytes."""
    return bytes.fromhex(text.replace(":", ""))


def loopback_state(netns: Netns) -> bytes:
    """A namespace's loopback set up or down."""
    return message(uapi.RTM_NEWLINK, 0, _link(LOOPBACK_INDEX, uapi.IFF_UP if netns.up else 0))


def new_veth(near: Veth, far: Veth, near_index: int, far_index: int, far_netns: int) -> bytes:
    """Both ends of a veth pair in one message, sent in the near end's namespace.

    far_netns: a descriptor of the far end's namespace.  The far end stays down whatever its fact
    says (`veth_open` refuses an end whose peer is not there yet): a batch in its own namespace
    sets it up.
    """
    peer = _link(far_index, 0) + _end(far) + attribute_u32(uapi.IFLA_NET_NS_FD, far_netns)
    data = attribute(uapi.IFLA_INFO_DATA, attribute(uapi.VETH_INFO_PEER, peer))
    body = _link(near_index, _up(near)) + _end(near) + attribute(uapi.IFLA_LINKINFO, _VETH + data)
    return message(uapi.RTM_NEWLINK, _NEW, body)


def new_bridge(bridge: Bridge, index: int) -> list[bytes]:
    """A bridge; STP is off and entries age after 300 s unless told otherwise.

    Its MTU is set in a message of its own and to another value than it was made with: only then
    does the bridge keep it when its ports change (net/bridge: BROPT_MTU_SET_BY_USER).
    """
    kind = attribute(uapi.IFLA_LINKINFO, attribute_text(uapi.IFLA_INFO_KIND, "bridge"))
    made = (
        _link(index, _flags(bridge), BRIDGE_FLAGS)
        + _named(replace(bridge, mtu=bridge.mtu - 1))
        + kind
    )
    return [message(uapi.RTM_NEWLINK, _NEW, made), mtu(bridge, index)]


def state(link: Veth | Bridge, index: int) -> bytes:
    """An existing link set up or down."""
    return message(uapi.RTM_NEWLINK, 0, _link(index, _up(link)))


def mtu(link: Veth | Bridge, index: int) -> bytes:
    """An existing link's MTU set."""
    body = _link(index, _up(link)) + attribute_u32(uapi.IFLA_MTU, link.mtu)
    return message(uapi.RTM_NEWLINK, 0, body)


def changed(found: Veth | Bridge, wanted: Veth | Bridge, index: int) -> bytes:
    """What differs between two states of one link; an equal MAC set again flushes neighbours."""
    body = _link(
        index, _flags(wanted), BRIDGE_FLAGS if isinstance(wanted, Bridge) else uapi.IFF_UP
    )
    if found.mac != wanted.mac:
        body += attribute(uapi.IFLA_ADDRESS, mac_bytes(wanted.mac))
    if found.mtu != wanted.mtu:
        body += attribute_u32(uapi.IFLA_MTU, wanted.mtu)
    return message(uapi.RTM_NEWLINK, 0, body)


def removed(index: int) -> bytes:
    """A link deleted, its peer with it."""
    return message(uapi.RTM_DELLINK, 0, _link(index, 0))


def port(fact: BridgePort, index: int, bridge_index: int) -> list[bytes]:
    """A link enslaved, and its flags set."""
    flood = attribute_u8(uapi.IFLA_BRPORT_UNICAST_FLOOD, fact.flood)
    flood += attribute_u8(uapi.IFLA_BRPORT_MCAST_FLOOD, fact.flood)
    flood += attribute_u8(uapi.IFLA_BRPORT_BCAST_FLOOD, fact.flood)
    flags = attribute_u8(uapi.IFLA_BRPORT_LEARNING, fact.learning) + flood
    flags += attribute_u8(uapi.IFLA_BRPORT_PROXYARP, fact.proxy_arp)
    flags += attribute_u8(uapi.IFLA_BRPORT_MODE, fact.hairpin)
    info = attribute_text(uapi.IFLA_INFO_SLAVE_KIND, "bridge")
    info += attribute(uapi.IFLA_INFO_SLAVE_DATA, flags)
    return [  # two, because the kernel looks for the bridge before it obeys IFLA_MASTER
        _setting(index, attribute_u32(uapi.IFLA_MASTER, bridge_index)),
        _setting(index, attribute(uapi.IFLA_LINKINFO, info)),
    ]


def no_port(index: int) -> bytes:
    """A link of no bridge any more."""
    return _setting(index, attribute_u32(uapi.IFLA_MASTER, 0))


def family_settings(index: int, settings: bytes) -> bytes:
    """A link's settings of an address family."""
    return _setting(index, attribute(uapi.IFLA_AF_SPEC, settings))


def _setting(index: int, attributes: bytes) -> bytes:
    """Something set on an existing link, whether it is up or not."""
    return message(uapi.RTM_NEWLINK, 0, _LINK.pack(AF_UNSPEC, 0, index, 0, 0) + attributes)


def _up(link: Veth | Bridge) -> int:
    return uapi.IFF_UP if link.up else 0


def _flags(link: Veth | Bridge) -> int:
    """A bridge is promiscuous or not; of a veth nobody asked."""
    promisc = isinstance(link, Bridge) and link.promisc
    return _up(link) | (uapi.IFF_PROMISC if promisc else 0)


def _link(index: int, flags: int, changed: int = uapi.IFF_UP) -> bytes:
    return _LINK.pack(AF_UNSPEC, 0, index, flags, changed)


def _named(link: Veth | Bridge) -> bytes:
    return (
        attribute_text(uapi.IFLA_IFNAME, link.name)
        + attribute(uapi.IFLA_ADDRESS, mac_bytes(link.mac))
        + attribute_u32(uapi.IFLA_MTU, link.mtu)
    )


def _end(veth: Veth) -> bytes:
    """One end of a pair."""
    return _named(veth) + _ONE_QUEUE
