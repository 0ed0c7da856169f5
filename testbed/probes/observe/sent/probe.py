"""The probe: one real packet that can be told from all others, on whatever way.

TCP: a real connect() whose initial sequence number is ours (TCP_REPAIR).  UDP and ICMP echo: eight
bytes of our own in front of the payload.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Self

from testbed.errors import KernelError, UsageError
from testbed.explain.evidence.witnesses import NOT_ITS_ADDRESS, Flow, Way
from testbed.explain.journey import FIRST_KIND, Header
from testbed.probes import icmp
from testbed.probes.observe.sent import packets, patterns
from testbed.probes.observe.sent.packets import RST, SYN, Packet
from testbed.probes.observe.sent.patterns import PAYLOAD, Patterns
from testbed.probes.sockets import RESET_ON_CLOSE

# linux/tcp.h; the socket module does not know them
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
REPAIR_ON, REPAIR_OFF = 1, -1  # off without a window probe
SEND_QUEUE = 2
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h
IP_MTU_DISCOVER, IP_PMTUDISC_PROBE = 10, 3  # linux/in.h: as tracepath does, by the device's MTU
ICMP_FILTER = 1  # linux/icmp.h; the answers are seen by the taps, not by the socket

TOKEN_BYTES = 8
FIRST, SECOND = b"1   ", b"2   "  # which datagram it is, behind the token

_U32 = struct.Struct("!I")
_I32 = struct.Struct("!i")
_U16 = struct.Struct("!H")
HEADERS = packets.IP_BYTES + PAYLOAD  # of a datagram or an echo
SEQUENCE = slice(4, 8)
ACKNOWLEDGED = slice(8, 12)
TCP_FLAGS = 13


class Probe:
    """A packet to send from the namespace in which the calling thread makes this.

    State: the socket, and for UDP the flows that were seen, by which answers are known.
    sent: the header, complete once it was sent.  Its source port, or identifier, is always a new
    one: a connection that somebody still remembers would not meet the rules for new ones.
    keep_port: of UDP, it has the header's source port for just that.
    """

    def __init__(self, header: Header, *, keep_port: bool = False) -> None:
        self._bytes = os.urandom(TOKEN_BYTES)
        identifier = _U16.unpack_from(self._bytes)[0] if header.protocol == "icmp" else 0
        kind = FIRST_KIND[header.protocol]
        self._kept_port = header.source_port if keep_port else 0
        self.sent = replace(header, source_port=identifier, kind=kind)
        self._flows: frozenset[Flow] = frozenset()
        self._socket = socket.socket(socket.AF_INET, *KINDS[header.protocol])
        try:
            self._prepare(header)
            self._is_sendable = self._take_source(header)
        except OSError as refused:
            self._socket.close()
            raise KernelError(f"cannot make a probe: {refused.strerror}") from refused

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()

    @property
    def connection(self) -> socket.socket:
        """The socket; of TCP it is connected once an answer has come."""
        return self._socket

    @property
    def patterns(self) -> Patterns:
        """What tells the probe and its answers from all other traffic."""
        if self.sent.protocol == "tcp":
            return patterns.of_tcp(self.sequence)
        return patterns.of_payload(self._bytes)

    def send(self) -> str:
        """Send it; what the sender's own kernel has against it, in its words, or nothing."""
        if not self._is_sendable:
            return NOT_ITS_ADDRESS
        try:
            self._socket.connect((str(self.sent.destination), self._port))
            self._say(FIRST)
        except OSError as refused:
            if refused.errno != errno.EINPROGRESS:
                return os.strerror(refused.errno or 0)
        finally:
            self._learn()
        return ""

    def send_again(self, seen: Iterable[Flow]) -> None:
        """UDP: the same once more, now that the flows are known that answers will have."""
        self._flows = frozenset(flow.turned() for flow in seen)
        with suppress(OSError):  # an error that came since the first
            self._say(SECOND)

    def way(self, packet: Packet) -> Way | None:
        """What a packet is to this probe."""
        if packets.is_error(packet):
            return "error" if self._is_quoted(packet.transport) else None
        if packet.header.protocol != self.sent.protocol:
            return None
        return self._tcp_way(packet) if self.sent.protocol == "tcp" else self._other_way(packet)

    def _tcp_way(self, packet: Packet) -> Way | None:
        flags = packet.transport[TCP_FLAGS]
        if packet.transport[SEQUENCE] == _U32.pack(self.sequence) and flags & SYN:
            return "there"
        acknowledged = _U32.pack(patterns.acknowledging(self.sequence))
        answers = packet.transport[ACKNOWLEDGED] == acknowledged and flags & (SYN | RST)
        return "back" if answers else None

    def _other_way(self, packet: Packet) -> Way | None:
        if Flow.of(packet.header) in self._flows:
            return "back"
        payload = packet.transport[PAYLOAD:]
        if not payload.startswith(self._bytes):
            return None
        if packet.header.protocol == "icmp":
            return "there" if packet.header.kind == "echo-request" else "back"
        return "there" if payload[TOKEN_BYTES:].startswith(FIRST) else None

    def _is_quoted(self, transport: bytes) -> bool:
        """Whether an ICMP error is about the probe."""
        quoted = packets.packet(transport[packets.ICMP_BYTES :])
        if quoted is None or quoted.header.protocol != self.sent.protocol:
            return False
        if self.sent.protocol == "tcp":
            return quoted.transport[SEQUENCE] == _U32.pack(self.sequence)
        return quoted.transport[PAYLOAD:].startswith(self._bytes)

    @property
    def sequence(self) -> int:
        """Of TCP: the number that the connection begins with."""
        number: int = _U32.unpack_from(self._bytes)[0]
        return number

    @property
    def _port(self) -> int:
        return 0 if self.sent.protocol == "icmp" else self.sent.destination_port

    def _prepare(self, header: Header) -> None:
        """Everything but the destination."""
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, header.ttl)
        if header.size:
            self._socket.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
        if header.protocol == "icmp":
            self._socket.setsockopt(socket.IPPROTO_RAW, ICMP_FILTER, _U32.pack(0xFFFFFFFF))
        if header.protocol == "tcp":
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self._choose_sequence()

    def _take_source(self, header: Header) -> bool:
        """Whether it can be sent from the address that was asked for."""
        # connect() chooses the port, and goes on from the last one to this destination; bind()
        # would draw one, and now and then one that conntrack remembers
        self._socket.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        if self._kept_port:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            if header.source != UNSPECIFIED or self._kept_port:
                self._socket.bind((str(header.source), self._kept_port))
        except OSError as refused:
            if refused.errno == errno.EADDRINUSE:
                raise UsageError(
                    f"port {self._kept_port} is in use at the sender: a server or client has it"
                ) from refused
            if refused.errno != errno.EADDRNOTAVAIL:
                raise
            return False
        return True

    def _choose_sequence(self) -> None:
        """The number as a signed one: that is what setsockopt() takes."""
        (signed,) = _I32.unpack_from(self._bytes)
        for option, value in (
            (TCP_REPAIR, REPAIR_ON),
            (TCP_REPAIR_QUEUE, SEND_QUEUE),
            (TCP_QUEUE_SEQ, signed),
            (TCP_REPAIR, REPAIR_OFF),
        ):
            self._socket.setsockopt(socket.IPPROTO_TCP, option, value)

    def _say(self, number: bytes) -> None:
        sent, room = self.sent, self.sent.size - HEADERS
        if sent.protocol == "udp":
            self._socket.send((self._bytes + number).ljust(room, b"\0"))
        if sent.protocol == "icmp":
            said = self._bytes.ljust(room, b"\0")
            self._socket.send(icmp.request(sent.source_port, sent.destination_port, said))

    def _learn(self) -> None:
        """Source and port, as far as the kernel has chosen them."""
        source, port = self._socket.getsockname()[:2]
        address = IPv4Address(source)
        if address != UNSPECIFIED:
            self.sent = replace(self.sent, source=address)
        if self.sent.protocol != "icmp":
            self.sent = replace(self.sent, source_port=port)


UNSPECIFIED = IPv4Address(0)
KINDS = {
    "icmp": (socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_ICMP),
    "tcp": (socket.SOCK_STREAM | socket.SOCK_CLOEXEC, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, socket.IPPROTO_UDP),
}
