"""TCP segments made by hand, for what no program sends: out of the window, or to a loopback."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from testbed.kernel.namespaces.store import NamespaceStore
from testbed.probes.sockets import socket_in
from tests.waiting import PATIENCE_S

# linux/tcp.h
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
REPAIR_ON, REPAIR_OFF = 1, -1
RECEIVE_QUEUE, SEND_QUEUE = 1, 2
ACK = 0x10
WINDOW = 502
LARGEST = (1 << 32) - 1


class Ends(NamedTuple):
    """A connection as one of its ends has it: its own address, the other's."""

    own: tuple[str, int]
    other: tuple[str, int]


class Numbers(NamedTuple):
    """What a socket sends next, and what it waits for."""

    sends: int
    expects: int


def numbers(connected: socket.socket) -> Numbers:
    """The sequence numbers of a connection, which its kernel tells while it is repaired."""
    connected.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_ON)
    try:
        return Numbers(_queue(connected, SEND_QUEUE), _queue(connected, RECEIVE_QUEUE))
    finally:
        connected.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF)


def _queue(connected: socket.socket, queue: int) -> int:
    connected.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
    return int(connected.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ)) & LARGEST


def acknowledgement(ends: Ends, sequence: int, acknowledged: int) -> bytes:
    """A segment without data, checksum and all."""
    (_, source), (_, destination) = ends
    words = source, destination, sequence & LARGEST, acknowledged & LARGEST, 5 << 4, ACK, WINDOW
    tcp = struct.pack("!HHIIBBH", *words)
    addresses = socket.inet_aton(ends.own[0]) + socket.inet_aton(ends.other[0])
    pseudo = addresses + struct.pack("!HH", socket.IPPROTO_TCP, 20) + tcp
    return tcp + struct.pack("!HH", checksum(pseudo), 0)


def checksum(data: bytes) -> int:
    """RFC 1071's, of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def send(store: NamespaceStore, place: str, ends: Ends, segment: bytes) -> None:
    """From a namespace, with an IP header of its kernel's."""
    with socket_in(store, place, kind=socket.SOCK_RAW, protocol=socket.IPPROTO_TCP) as raw:
        raw.bind((ends.own[0], 0))
        raw.sendto(segment, (ends.other[0], 0))


@contextmanager
def connected(
    store: NamespaceStore, client: str, server: str, port: int, called: tuple[str, int]
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """The client's end and the server's of one connection to what is called."""
    with socket_in(store, server) as listening, socket_in(store, client) as caller:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("", port))
        listening.listen()
        for end in (listening, caller):
            end.settimeout(PATIENCE_S)
        caller.connect(called)
        accepted, _ = listening.accept()
        with accepted:
            accepted.settimeout(PATIENCE_S)
            yield caller, accepted
