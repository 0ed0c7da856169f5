"""What is said on the connection that a probe has opened: its first data, to be followed too."""

import os
import select
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from testbed.explain.evidence.witnesses import Flow, Way
from testbed.explain.journey import Header
from testbed.explain.packet import IP_AND_TCP
from testbed.explain.speech import DATA, asks_metadata
from testbed.net.served import metadata
from testbed.probes.observe.sent import packets, patterns
from testbed.probes.observe.sent.packets import ACK, PSH, Packet
from testbed.probes.observe.sent.patterns import Patterns
from testbed.probes.observe.sent.probe import ACKNOWLEDGED, SEQUENCE, TCP_FLAGS, Probe

SOON_MS = 1000  # a kernel needs microseconds; a loaded machine may come to it late
TIMESTAMPS = 1  # linux/tcp.h: TCPI_OPT_TIMESTAMPS, in the byte behind these
OPTIONS_BYTE = 5
TIMESTAMP_BYTES = 12  # RFC 7323, appendix A

_U32 = struct.Struct("!I")


class Talk:
    """The first data on a probe's open connection (state: the first answer to it).

    sent: its header, complete once it was sent.  segment: the largest packet that TCP would
    make of it, in bytes.
    """

    def __init__(self, probe: Probe, asked: Header) -> None:
        self._socket = probe.connection
        self._sequence = patterns.acknowledging(probe.sequence)
        self._overhead = IP_AND_TCP + self._options()
        room = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
        self.segment = self._overhead + room
        self._answer: tuple[int, int] | None = None
        self._wants_text = asks_metadata(asked)
        self._said = (
            metadata.TOKEN_REQUEST
            if self._wants_text
            else bytes(min(asked.size - self._overhead, room))
        )
        size = self._overhead + len(self._said)
        self.sent = replace(probe.sent, kind=DATA, size=size)

    @property
    def patterns(self) -> Patterns:
        """What tells the data and its answers from all other traffic."""
        return patterns.of_data(self._sequence, len(self._said))

    def send(self) -> str:
        """Send it; what the sender's own kernel has against it, in its words, or nothing."""
        try:
            self._socket.sendall(self._said)
        except OSError as refused:
            return os.strerror(refused.errno or 0)
        return ""

    def send_again(self, seen: Iterable[Flow]) -> None:
        """TCP does so by itself."""

    def way(self, packet: Packet) -> Way | None:
        """What a packet is to this data; another cut of it, sent again, is nothing."""
        if packets.is_error(packet):
            quoted = packets.packet(packet.transport[packets.ICMP_BYTES :])
            return "error" if quoted and self._is_sent(quoted) else None
        if packet.header.protocol != "tcp":
            return None
        flags = packet.transport[TCP_FLAGS]
        if self._is_sent(packet):
            return "there" if flags & PSH and packet.header.size == self.sent.size else None
        wanted = PSH if self._wants_text else ACK
        end = _U32.pack((self._sequence + len(self._said)) & patterns.LARGEST)
        if packet.transport[ACKNOWLEDGED] != end or not flags & wanted:
            return None
        answer = flags, packet.header.size
        self._answer = self._answer or answer  # what a server says later acknowledges as much
        return "back" if answer == self._answer else None

    def _is_sent(self, packet: Packet) -> bool:
        return packet.transport[SEQUENCE] == _U32.pack(self._sequence)

    def _options(self) -> int:
        """The bytes of TCP's options in each segment."""
        known = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, OPTIONS_BYTE + 1)
        return TIMESTAMP_BYTES if known[OPTIONS_BYTE] & TIMESTAMPS else 0


def is_open(probe: Probe) -> bool:
    """Whether the probe's connection stands; its taps see an answer before its socket does."""
    waiting = select.poll()
    waiting.register(probe.connection, select.POLLOUT)
    waiting.poll(SOON_MS)
    with suppress(OSError):
        return bool(probe.connection.getpeername())
    return False
