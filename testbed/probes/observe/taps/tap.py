"""Packet taps: a socket per namespace that sees a probe at every device.  Needs CAP_NET_RAW.

Sightings are put in order by the kernel's time stamps.
"""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress

from testbed.explain.evidence.witnesses import Sighting, Way
from testbed.probes.observe.sent.packets import Packet, packet
from testbed.probes.observe.sent.patterns import Patterns
from testbed.probes.observe.taps import filter as socket_filter
from testbed.probes.observe.taps.filter import ETH_P_IP

ETH_P_ALL = 0x0003  # linux/if_ether.h
SO_TIMESTAMPNS = 35  # asm-generic/socket.h
PACKET_OTHERHOST, PACKET_OUTGOING = 3, 4  # linux/if_packet.h
LONGEST = 256  # bytes of a packet that are looked at: an ICMP error quotes 8 behind two IP headers

SECOND_NS = 1_000_000_000

_TIMESPEC = struct.Struct("@ll")
ANCILLARY = socket.CMSG_SPACE(_TIMESPEC.size)

Classify = Callable[[Packet], Way | None]


class Tap:
    """A packet tap of the namespace in which the calling thread makes it (state: the socket)."""

    def __init__(self, ns: str, patterns: Patterns) -> None:
        self.ns = ns
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_PACKET, kind, socket.htons(ETH_P_ALL))
        self.look_for(patterns)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._drain()

    def fileno(self) -> int:
        """For poll."""
        return self._socket.fileno()

    def look_for(self, patterns: Patterns) -> None:
        """From now on take what has these patterns."""
        socket_filter.attach(self._socket, patterns)

    def _drain(self) -> None:
        """Under load the socket is full before the filter is there: it would take no more."""
        with suppress(BlockingIOError):
            while True:
                self._socket.recv(1)

    def seen(self, classify: Classify) -> Iterator[Sighting]:
        """What has come since the last time."""
        while True:
            try:
                data, ancillary, _, address = self._socket.recvmsg(LONGEST, ANCILLARY)
            except BlockingIOError:
                return
            found = packet(data) if address[1] == ETH_P_IP else None
            way = classify(found) if found else None
            if found and way:
                yield Sighting(
                    ns=self.ns,
                    dev=address[0],
                    time_ns=stamp(ancillary),
                    outgoing=address[2] == PACKET_OUTGOING,
                    header=found.header,
                    way=way,
                    other_host=address[2] == PACKET_OTHERHOST,
                )

    def close(self) -> None:
        """The kernel waits until nobody uses it any more: 10 to 16 ms."""
        self._socket.close()


def stamp(ancillary: list[tuple[int, int, bytes]]) -> int:
    """A packet's time, in nanoseconds since 1970."""
    seconds, rest = _TIMESPEC.unpack(ancillary[0][2])
    return int(seconds * SECOND_NS + rest)
