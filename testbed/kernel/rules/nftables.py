"""Rule sets of iptables-nft as nfnetlink messages: read in one namespace, written in more.  Pure.

Matches and targets stay bytes that only iptables understands: a copy is what the original is.
"""

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from testbed.kernel.netlink import uapi
from testbed.kernel.netlink.wire import (
    ALIGNMENT,
    FLAGS_OFFSET,
    HEADER,
    SEQUENCE_OFFSET,
    attribute,
    attribute_text,
    attributes,
)

NFPROTO_IPV4 = 2  # linux/netfilter.h
NFGENMSG = struct.Struct(">BBH")  # family, version, subsystem; the last one only of a batch
LAST = 0xFFFF  # the sequence number of the one message that asks for an answer

_SUBSYSTEM = uapi.NFNL_SUBSYS_NFTABLES << 8
_BE32 = struct.Struct(">I")
_HEAD = struct.Struct("=HH")
_FLAGS, _SEQUENCE = struct.Struct("=H"), struct.Struct("=I")

# an expression `counter`: its name, then its data with the numbers of bytes and of packets
_COUNTED = re.compile(rb"(counter\0.{4}.{4}).{8}(.{4}).{8}", re.DOTALL)
_NOTHING = bytes(8)

# Where iptables-nft has the protocol from: `meta l4proto` before 1.8.11, `ip protocol` since.
_PROTOCOL = {
    "meta": {uapi.NFTA_META_KEY: _BE32.pack(uapi.NFT_META_L4PROTO)},
    "payload": {
        uapi.NFTA_PAYLOAD_BASE: _BE32.pack(uapi.NFT_PAYLOAD_NETWORK_HEADER),
        uapi.NFTA_PAYLOAD_OFFSET: _BE32.pack(9),  # RFC 791, 3.1: its tenth byte
        uapi.NFTA_PAYLOAD_LEN: _BE32.pack(1),
    },
}

_REPEATED = 1 << 14  # rules remembered
_NUMBERS = (uapi.NFTA_RULE_HANDLE, uapi.NFTA_RULE_POSITION)

Place = tuple[str, str]  # a table and a chain


def request(kind: int) -> tuple[int, bytes]:
    """Type and body of a dump of the IPv4 objects of a kind."""
    return _SUBSYSTEM | kind, NFGENMSG.pack(NFPROTO_IPV4, 0, 0)


@lru_cache(_REPEATED)
def chain_settings(body: bytes) -> tuple[Place, bytes]:
    """Of a dumped chain its place, and what it is made with: hook, type, policy."""
    found = _pieces(body)
    kept = (uapi.NFTA_CHAIN_HOOK, uapi.NFTA_CHAIN_POLICY, uapi.NFTA_CHAIN_TYPE)
    place = _name(found[uapi.NFTA_CHAIN_TABLE]), _name(found[uapi.NFTA_CHAIN_NAME])
    return place, b"".join(found[kind] for kind in kept if kind in found)


def rule_settings(body: bytes) -> tuple[Place, bytes]:
    """Of a dumped rule its place, and what it does; nothing has been counted yet."""
    return _settings(_unnumbered(uncounted(body)))


def uncounted(body: bytes) -> bytes:
    """A dumped rule with its numbers, but as if nothing had been counted yet."""
    return _COUNTED.sub(_uncounted, body)


def _uncounted(counter: re.Match[bytes]) -> bytes:
    """(A template would be expanded in Python, at three times the cost.)"""
    name, packets = counter.groups()
    return b"".join((name, _NOTHING, packets, _NOTHING))


def _unnumbered(body: bytes) -> bytes:
    """A dumped rule without its own number and its predecessor's, which come behind its place."""
    start = _padded(body, 0)
    start += _padded(body, start)
    end = start
    while end < len(body) and _HEAD.unpack_from(body, end)[1] in _NUMBERS:
        end += _padded(body, end)
    return body[:start] + body[end:]


@lru_cache(_REPEATED)
def _settings(rule: bytes) -> tuple[Place, bytes]:
    """Place and settings of a rule without numbers; every node has much the same ones."""
    found = _pieces(rule)
    kept = (uapi.NFTA_RULE_EXPRESSIONS, uapi.NFTA_RULE_USERDATA)
    place = _name(found[uapi.NFTA_RULE_TABLE]), _name(found[uapi.NFTA_RULE_CHAIN])
    settings = b"".join(found[kind] for kind in kept if kind in found)
    return place, settings + _compat(found[uapi.NFTA_RULE_EXPRESSIONS])


def table(name: str) -> bytes:
    """A new table."""
    return _message(uapi.NFT_MSG_NEWTABLE, 0, attribute_text(uapi.NFTA_TABLE_NAME, name))


def chain(place: Place, settings: bytes) -> bytes:
    """A new chain."""
    of, name = place
    body = attribute_text(uapi.NFTA_CHAIN_TABLE, of) + attribute_text(uapi.NFTA_CHAIN_NAME, name)
    return _message(uapi.NFT_MSG_NEWCHAIN, 0, body + settings)


def rule(place: Place, settings: bytes) -> bytes:
    """A new rule, behind the chain's others."""
    of, name = place
    body = attribute_text(uapi.NFTA_RULE_TABLE, of) + attribute_text(uapi.NFTA_RULE_CHAIN, name)
    return _message(uapi.NFT_MSG_NEWRULE, uapi.NLM_F_APPEND, body + settings)


def transaction(requests: Sequence[bytes]) -> bytes:
    """All of them or none, as one datagram; the last request is the one that is answered.

    (Only newer kernels answer the end of a transaction.)
    """
    buffer = bytearray(_border(uapi.NFNL_MSG_BATCH_BEGIN))
    offset = 0
    for one in requests:
        offset = len(buffer)
        buffer += one
    flags: int = _FLAGS.unpack_from(buffer, offset + FLAGS_OFFSET)[0]
    _FLAGS.pack_into(buffer, offset + FLAGS_OFFSET, flags | uapi.NLM_F_ACK)
    _SEQUENCE.pack_into(buffer, offset + SEQUENCE_OFFSET, LAST)
    return bytes(buffer + _border(uapi.NFNL_MSG_BATCH_END))


def bodies(dump: Iterable[bytes]) -> Iterator[bytes]:
    """What is behind the nfgenmsg of each message."""
    return (body[NFGENMSG.size :] for body in dump)


def _message(kind: int, flags: int, body: bytes) -> bytes:
    flags |= uapi.NLM_F_REQUEST | uapi.NLM_F_CREATE
    head = NFGENMSG.pack(NFPROTO_IPV4, 0, 0)
    length = HEADER.size + len(head) + len(body)
    return HEADER.pack(length, _SUBSYSTEM | kind, flags, 0, 0) + head + body


def _border(kind: int) -> bytes:
    head = NFGENMSG.pack(0, 0, uapi.NFNL_SUBSYS_NFTABLES)
    return HEADER.pack(HEADER.size + len(head), kind, uapi.NLM_F_REQUEST, 0, 0) + head


def _pieces(data: bytes) -> dict[int, bytes]:
    """The attributes by type, each with its own head and padding."""
    found = {}
    offset = 0
    while offset + _HEAD.size <= len(data):
        end = offset + _padded(data, offset)
        found[_HEAD.unpack_from(data, offset)[1] & uapi.NLA_TYPE_MASK] = data[offset:end]
        offset = end
    return found


def _padded(data: bytes, offset: int) -> int:
    """How long an attribute is with its head and padding."""
    length: int = _HEAD.unpack_from(data, offset)[0]
    return (length + ALIGNMENT - 1) & -ALIGNMENT


def _name(piece: bytes) -> str:
    return piece[_HEAD.size :].rstrip(b"\0").decode()


def _compat(expressions: bytes) -> bytes:
    """NFTA_RULE_COMPAT, which the kernel wants and does not dump: the protocol of xt's matches.

    It is what the rule itself compares the packet's protocol with.
    """
    extended, protocol, read = False, b"", False
    for name, data in _expressions(expressions):
        extended = extended or name in ("match", "target")
        if name == "cmp" and read and not protocol:
            protocol = _protocol(data)
        read = _reads_protocol(name, data)
    return attribute(uapi.NFTA_RULE_COMPAT, protocol) if extended and protocol else b""


def _expressions(piece: bytes) -> Iterator[tuple[str, dict[int, bytes]]]:
    offset = _HEAD.size
    while offset + _HEAD.size <= len(piece):
        length, _ = _HEAD.unpack_from(piece, offset)
        one = attributes(piece[offset : offset + length], _HEAD.size)
        data = attributes(one.get(uapi.NFTA_EXPR_DATA, b""))
        yield one[uapi.NFTA_EXPR_NAME].rstrip(b"\0").decode(), data
        offset += (length + ALIGNMENT - 1) & -ALIGNMENT


def _reads_protocol(name: str, data: dict[int, bytes]) -> bool:
    """Whether an expression loads what `-p` is about."""
    loaded = _PROTOCOL.get(name)
    return loaded is not None and loaded.items() <= data.items()


def _protocol(compare: dict[int, bytes]) -> bytes:
    value = attributes(compare[uapi.NFTA_CMP_DATA])[uapi.NFTA_DATA_VALUE]
    unequal = compare[uapi.NFTA_CMP_OP] == _BE32.pack(uapi.NFT_CMP_NEQ)
    flags = uapi.NFT_RULE_COMPAT_F_INV if unequal else 0
    return attribute(uapi.NFTA_RULE_COMPAT_PROTO, _BE32.pack(value[0])) + attribute(
        uapi.NFTA_RULE_COMPAT_FLAGS, _BE32.pack(flags)
    )
