"""DNS messages as they are on the wire: RFC 1035, sections 3 and 4; SRV is RFC 2782's."""

import socket
import struct
from typing import NamedTuple

NOERROR, NXDOMAIN = 0, 3
A, CNAME, PTR, TXT, AAAA, SRV = 1, 5, 12, 16, 28, 33
HEADER = struct.Struct(">6H")
RECORD = struct.Struct(">2HIH")  # type, class, TTL, length: what follows a record's name
POINTER = 0xC0


class Answer(NamedTuple):
    """A record, its data as `dig +short` prints it but for the last dot."""

    name: str
    kind: int
    ttl_s: int
    data: str


def question(name: str, kind: int) -> bytes:
    """One question of class IN, recursion desired."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return HEADER.pack(1, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", kind, 1)


def answers(message: bytes) -> tuple[int, list[Answer]]:
    """The code of a reply to one question, and the records of its answer section."""
    _, flags, _, count, _, _ = HEADER.unpack_from(message)
    _, place = _name(message, HEADER.size)
    place += 4  # the question's type and class
    found = []
    for _ in range(count):
        name, place = _name(message, place)
        kind, _, ttl_s, length = RECORD.unpack_from(message, place)
        place += RECORD.size
        found.append(Answer(name, kind, ttl_s, _data(message, kind, place, length)))
        place += length
    return flags & 15, found


def _data(message: bytes, kind: int, place: int, length: int) -> str:
    match kind:
        case 1:
            return socket.inet_ntoa(message[place : place + length])
        case 16:
            return message[place + 1 : place + length].decode()
        case 33:
            priority, weight, port = struct.unpack_from(">3H", message, place)
            return f"{priority} {weight} {port} {_name(message, place + 6)[0]}"
        case _:
            return _name(message, place)[0]


def _name(message: bytes, place: int) -> tuple[str, int]:
    """The name that begins there, and where what follows it begins."""
    labels: list[str] = []
    while length := message[place]:
        if length >= POINTER:
            [target] = struct.unpack_from(">H", message, place)
            rest, _ = _name(message, target & 0x3FFF)
            return ".".join([*labels, rest]), place + 2
        labels.append(message[place + 1 : place + 1 + length].decode())
        place += 1 + length
    return ".".join(labels), place + 1
