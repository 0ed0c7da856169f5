"""Netlink's wire format: messages of a header and a body, attributes of a length and a type.

    message    length u32 | type u16 | flags u16 | sequence u32 | port u32 | body …
    attribute  length u16 | type u16 | value … padded to 4

All of it is in the machine's own byte order.
"""

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from testbed.kernel.netlink.uapi import (
    NLA_TYPE_MASK,
    NLM_F_ACK_TLVS,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    NLMSGERR_ATTR_MSG,
)

HEADER = struct.Struct("=IHHII")
HEADER_LENGTH = HEADER.size
FLAGS_OFFSET, SEQUENCE_OFFSET = 6, 8
ALIGNMENT = 4  # NLMSG_ALIGNTO, NLA_ALIGNTO

_ATTRIBUTE = struct.Struct("=HH")
_ATTRIBUTE_4 = struct.Struct("=HH4s")
_ATTRIBUTE_U32 = struct.Struct("=HHI")
_ATTRIBUTE_U8 = struct.Struct("=HHB3x")
_ATTRIBUTE_LENGTH = _ATTRIBUTE.size
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")  # by length modulo 4
_ERROR = struct.Struct("=i")
_START = struct.Struct("=IHH")  # of a header
_U32 = struct.Struct("=I")


class Message(NamedTuple):
    """A message the kernel sent."""

    kind: int
    flags: int
    sequence: int
    body: bytes


class Refusal(NamedTuple):
    """The kernel's answer to a message: errno (0 is consent) and its own words, if it had any."""

    sequence: int
    errno: int
    text: str

    def __str__(self) -> str:
        """`Network is unreachable (Nexthop has invalid gateway)`."""
        name = os.strerror(self.errno)
        return f"{name} ({self.text})" if self.text else name


def attribute(kind: int, value: bytes) -> bytes:
    """An attribute with a value of any length."""
    length = len(value)
    if length == 4:  # as most are: IPv4 addresses
        return _ATTRIBUTE_4.pack(8, kind, value)
    return _ATTRIBUTE.pack(length + _ATTRIBUTE_LENGTH, kind) + value + _PADDING[length & 3]


def attribute_u8(kind: int, value: int) -> bytes:
    """An attribute with a one-byte number."""
    return _ATTRIBUTE_U8.pack(5, kind, value)


def attribute_u32(kind: int, value: int) -> bytes:
    """An attribute with a four-byte number."""
    return _ATTRIBUTE_U32.pack(8, kind, value)


def attribute_text(kind: int, value: str) -> bytes:
    """An attribute with a text and its final NUL."""
    return attribute(kind, value.encode() + b"\0")


def attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """The attributes from `offset` to the end, by type."""
    found = {}
    end = len(data)
    unpack = _ATTRIBUTE.unpack_from
    while offset + _ATTRIBUTE_LENGTH <= end:
        length, kind = unpack(data, offset)
        found[kind & NLA_TYPE_MASK] = data[offset + _ATTRIBUTE_LENGTH : offset + length]
        offset += (length + ALIGNMENT - 1) & -ALIGNMENT
    return found


def spans(data: bytes, part: slice) -> Iterator[tuple[int, slice, slice]]:
    """Of each attribute in a part of the data its type, where its head is and where its value."""
    offset = part.start
    while offset + _ATTRIBUTE_LENGTH <= part.stop:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        value = offset + _ATTRIBUTE_LENGTH
        yield kind & NLA_TYPE_MASK, slice(offset, value), slice(value, offset + length)
        offset += (length + ALIGNMENT - 1) & -ALIGNMENT


def first_attribute(data: bytes, kind: int, offset: int) -> bytes:
    """The first attribute of one type from `offset` on, without a look at those behind it."""
    end = len(data)
    while offset + _ATTRIBUTE_LENGTH <= end:
        length, found = _ATTRIBUTE.unpack_from(data, offset)
        if found & NLA_TYPE_MASK == kind:
            return data[offset + _ATTRIBUTE_LENGTH : offset + length]
        offset += (length + ALIGNMENT - 1) & -ALIGNMENT
    return b""


def u32(value: bytes) -> int:
    """The number in a four-byte attribute."""
    number: int = _U32.unpack(value)[0]
    return number


def text(value: bytes) -> str:
    """The text in an attribute, without its final NUL."""
    return value.rstrip(b"\0").decode()


def message(kind: int, flags: int, body: bytes) -> bytes:
    """A request; its sequence number is set when it is sent."""
    return HEADER.pack(HEADER_LENGTH + len(body), kind, NLM_F_REQUEST | flags, 0, 0) + body


def messages(data: bytes) -> Iterator[Message]:
    """The messages of one datagram."""
    offset, end = 0, len(data)
    while offset + HEADER_LENGTH <= end:
        length, kind, flags, sequence, _ = HEADER.unpack_from(data, offset)
        yield Message(kind, flags, sequence, data[offset + HEADER_LENGTH : offset + length])
        offset += (length + ALIGNMENT - 1) & -ALIGNMENT


def gather(data: bytes, bodies: list[bytes]) -> tuple[int, Message | None]:
    """Add the bodies of a datagram's messages to a dump's; all their flags, and its end, if here.

    (`messages` takes four times as long, and a large lab answers with 150,000.)
    """
    offset, end, seen = 0, len(data), 0
    while offset < end:
        length, kind, flags = _START.unpack_from(data, offset)
        seen |= flags
        body = data[offset + HEADER_LENGTH : offset + length]
        if kind in (NLMSG_DONE, NLMSG_ERROR):
            return seen, Message(kind, flags, 0, body)
        bodies.append(body)
        offset += (length + ALIGNMENT - 1) & -ALIGNMENT
    return seen, None


def refusal(answer: Message) -> Refusal:
    """What an NLMSG_ERROR or NLMSG_DONE message says.

    The body: errno, negative; then (errors only) the header of the request; then attributes.
    """
    (error,) = _ERROR.unpack_from(answer.body)
    words = b""
    if answer.flags & NLM_F_ACK_TLVS:
        request = HEADER_LENGTH if answer.kind == NLMSG_ERROR else 0  # no more: NETLINK_CAP_ACK
        words = attributes(answer.body, _ERROR.size + request).get(NLMSGERR_ATTR_MSG, b"")
    return Refusal(answer.sequence, -error, text(words))
