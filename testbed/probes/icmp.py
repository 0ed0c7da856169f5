"""ICMP echo over IPv4 as bytes (RFC 792): requests, and what a raw socket receives for them."""

import struct
from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import NamedTuple

ECHO_REPLY = 0
UNREACHABLE = 3
ECHO = 8
TIME_EXCEEDED = 11

TOKEN_BYTES = 8  # of our own choice, behind the header: an answer that repeats it is meant for us
WITHOUT_OPTIONS = b"\x45"  # how an IPv4 header of 20 bytes begins
REQUEST_BYTES = 8 + TOKEN_BYTES
HEADER = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence number
RECEIVED = struct.Struct(f"!12x4s4xBB2xHH{TOKEN_BYTES}s")  # with the IP header before it
LONGEST = 128  # bytes of a packet that are looked at: an error, and the request it quotes
LONG = struct.Struct(f"{RECEIVED.format}{LONGEST - RECEIVED.size}x")  # one of many side by side
QUOTED = 28  # where an error repeats the packet it is about: behind its IP and ICMP headers

# the words of iputils' ping
ERRORS = {
    (UNREACHABLE, 0): "Destination Net Unreachable",
    (UNREACHABLE, 1): "Destination Host Unreachable",
    (UNREACHABLE, 2): "Destination Protocol Unreachable",
    (UNREACHABLE, 3): "Destination Port Unreachable",
    (UNREACHABLE, 4): "Frag needed and DF set",
    (UNREACHABLE, 9): "Destination Net Prohibited",
    (UNREACHABLE, 10): "Destination Host Prohibited",
    (UNREACHABLE, 13): "Packet filtered",
    (TIME_EXCEEDED, 0): "Time to live exceeded",
}


class Message(NamedTuple):
    """An echo request or its reply, as far as it matters; `source` in network order."""

    source: bytes
    kind: int
    code: int
    identifier: int
    sequence: int
    token: bytes


def request(identifier: int, sequence: int, said: bytes) -> bytes:
    """An echo request that says something, first of all a token."""
    return requests(identifier, [sequence], said)[0]


def requests(identifier: int, sequences: Iterable[int], said: bytes) -> list[bytes]:
    """Echo requests that differ in nothing but their sequence numbers."""
    checked = HEADER.pack(ECHO, 0, 0, identifier, 0) + said + bytes(len(said) % 2)
    same = sum(struct.unpack(f"!{len(checked) // 2}H", checked))
    return [
        HEADER.pack(ECHO, 0, _checksum(same + sequence), identifier, sequence) + said
        for sequence in sequences
    ]


def _checksum(total: int) -> int:
    """What makes 16-bit words of this sum add up to nothing (RFC 1071)."""
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def message(packet: bytes) -> Message | None:
    """A packet as a raw socket receives it, IP header first; none if it is too short."""
    if packet[:1] != WITHOUT_OPTIONS:
        packet = _without_options(packet)
    if len(packet) < RECEIVED.size:
        return None
    return Message._make(RECEIVED.unpack_from(packet))


def error(packet: bytes) -> tuple[Message, str] | None:
    """An ICMP error: the request it is about, and what it says, by whom; none: it is not one."""
    outer = message(packet)
    quoted = message(_without_options(packet)[QUOTED:])
    if outer is None or quoted is None or outer.kind not in (UNREACHABLE, TIME_EXCEEDED):
        return None
    words = ERRORS.get((outer.kind, outer.code), f"ICMP type {outer.kind} code {outer.code}")
    return quoted, f"{words}, says {IPv4Address(outer.source)}"


def _without_options(packet: bytes) -> bytes:
    """The packet with an IP header of 20 bytes."""
    return packet[:20] + packet[(packet[0] & 15) * 4 :] if packet else packet
