"""Elements of nft sets as the kernel's own dumps have them.  Needs CAP_NET_ADMIN.

`nft` prints the 14,000 of a large VPC in a third of a second.  That there are just the planned
ones is known from the bytes of a dump in a tenth of that.
"""

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from ipaddress import IPv4Network
from socket import AF_INET, inet_pton

from testbed.kernel.netlink import uapi
from testbed.kernel.netlink.encode_links import mac_bytes
from testbed.kernel.netlink.socket import NetlinkSocket
from testbed.kernel.netlink.wire import ALIGNMENT, attribute, attribute_text, first_attribute
from testbed.kernel.rules.nftables import NFGENMSG
from testbed.net.facts import NftElement, NftSet

FAMILIES = {"inet": 1, "ip": 2, "arp": 3, "netdev": 5, "bridge": 7, "ip6": 10}  # netfilter.h
JOINT = " . "  # between the parts of a key
REGISTER = 4  # bytes: linux/netfilter/nf_tables.h, NFT_REG32_SIZE
DEVICE = re.compile(r"[^\s*]{1,15}")  # a name; with an asterisk it is a beginning
DEVICE_LENGTH = 16  # linux/if.h: IFNAMSIZ

_LENGTH = struct.Struct("=H")
_HEAD = 4  # of an attribute: its length and its type

Set = tuple[str, str, str]  # family, table, name


class _Unknown(ValueError):
    """What only nft can spell."""


def are(sets: Iterable[NftSet], elements: Iterable[NftElement]) -> bool:
    """Whether these sets of the namespace the thread is in have just these elements.

    False too where that is not for us to say: of verdicts, of ranges in a key of one part, and of
    whatever nft knows besides.
    The elements of a set that packets fill (`flags dynamic`) are nobody's plan.
    """
    of_set: dict[Set, list[NftElement]] = {}
    for element in elements:
        of_set.setdefault((element.family, element.table, element.set), []).append(element)
    with NetlinkSocket(uapi.NETLINK_NETFILTER) as socket:
        for one in sets:
            planned = of_set.pop((one.family, one.table, one.name), [])
            if "dynamic" not in one.flags and not _are(socket, one, planned):
                return False
    return not of_set


def _are(socket: NetlinkSocket, declared: NftSet, planned: Sequence[NftElement]) -> bool:
    try:
        expected = sorted(said(declared, element) for element in planned)
    except _Unknown:
        return False
    found = [one for body in socket.dump(*_asked(declared)) for one in _elements(body)]
    return sorted(found) == expected


def said(declared: NftSet, element: NftElement) -> bytes:
    """What a dump says of an element of which nothing but its key, and its value, is told."""
    first, last = _ends(element.element) if _has_ends(declared) else (element.element, "")
    key = attribute(uapi.NFTA_SET_ELEM_KEY, _value(declared.key_type, first))
    if last:
        key += attribute(uapi.NFTA_SET_ELEM_KEY_END, _value(declared.key_type, last))
    if not declared.value_type:
        return key
    value = _value(declared.value_type, element.value)
    return key + attribute(uapi.NFTA_SET_ELEM_DATA, value)


def _has_ends(declared: NftSet) -> bool:
    """Whether its elements have a first and a last key: those of ranges that are joint keys."""
    return declared.flags == "interval" and JOINT in declared.key_type


def _ends(text: str) -> tuple[str, str]:
    """Of `"eth0" . 10.0.1.0/24` those with 10.0.1.0 and 10.0.1.255.  Raises _Unknown."""
    both = [_range(part) for part in text.split(JOINT)]
    return JOINT.join(first for first, _ in both), JOINT.join(last for _, last in both)


def _range(text: str) -> tuple[str, str]:
    if "/" not in text:
        return text, text
    try:
        network = IPv4Network(text)
    except ValueError:
        raise _Unknown(text) from None
    return str(network.network_address), str(network.broadcast_address)


def _value(types: str, text: str) -> bytes:
    """`"eth0" . 02:00:00:00:00:01` as NFTA_DATA_VALUE; each of several fills whole registers."""
    names, texts = types.split(JOINT), text.split(JOINT)
    try:
        fields = [_FIELDS[name](one) for name, one in zip(names, texts, strict=True)]
    except (KeyError, ValueError, OSError):
        raise _Unknown(f"{types} {text}") from None
    if len(fields) > 1:
        fields = [field + bytes(-len(field) % REGISTER) for field in fields]
    return attribute(uapi.NFTA_DATA_VALUE, b"".join(fields))


def _device(text: str) -> bytes:
    name = text.removeprefix('"').removesuffix('"')
    if not DEVICE.fullmatch(name):
        raise ValueError(name)
    return name.encode().ljust(DEVICE_LENGTH, b"\0")


_FIELDS: Mapping[str, Callable[[str], bytes]] = {
    "ether_addr": mac_bytes,
    "ifname": _device,
    "ipv4_addr": partial(inet_pton, AF_INET),
}


def _asked(declared: NftSet) -> tuple[int, bytes]:
    """Type and body of the dump of a set's elements."""
    body = (
        NFGENMSG.pack(FAMILIES[declared.family], 0, 0)
        + attribute_text(uapi.NFTA_SET_ELEM_LIST_TABLE, declared.table)
        + attribute_text(uapi.NFTA_SET_ELEM_LIST_SET, declared.name)
    )
    return uapi.NFNL_SUBSYS_NFTABLES << 8 | uapi.NFT_MSG_GETSETELEM, body


def _elements(body: bytes) -> Iterator[bytes]:
    """The elements of one message, each as its attributes."""
    listed = first_attribute(body, uapi.NFTA_SET_ELEM_LIST_ELEMENTS, NFGENMSG.size)
    offset = 0
    while offset < len(listed):
        (length,) = _LENGTH.unpack_from(listed, offset)
        yield listed[offset + _HEAD : offset + length]
        offset += (length + ALIGNMENT - 1) & -ALIGNMENT
