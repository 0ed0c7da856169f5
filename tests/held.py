"""Packets held behind a node's source translation, and let go together: a race for sure.

nftables knows no `queue` where a kernel has iptables' NFQUEUE only.  So the rule is iptables', in
a chain of its own, and an nft chain that comes after srcnat (100) leads there.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

import pytest

from testbed.bed import Bed
from testbed.kernel.netlink import uapi
from testbed.kernel.netlink.wire import attribute, attributes, message, messages
from testbed.probes.sockets import inside
from tests.waiting import PATIENCE_S

# linux/netfilter/nfnetlink_queue.h
SUBSYSTEM = 3 << 8
PACKET, VERDICT, CONFIG = SUBSYSTEM | 0, SUBSYSTEM | 1, SUBSYSTEM | 2
CONFIG_COMMAND, CONFIG_PARAMETERS, BIND, COPY_PACKET = 1, 2, 1, 2
PACKET_HEADER, VERDICT_HEADER, PAYLOAD, ACCEPT = 1, 2, 10, 1
NUMBER, HEADER_BYTES = 7, 20  # of the queue; what is copied of each packet
DESTINATION = slice(16, 20)  # of an IPv4 header

TABLE = "security"  # nobody else's here
HOLD = (
    f"iptables -t {TABLE} -N HOLD",
    f"iptables -t {TABLE} -A HOLD -p PROTOCOL --dport PORT -j NFQUEUE --queue-num {NUMBER}",
    f"nft add chain ip {TABLE} hold {{ type filter hook postrouting priority 150 ; }}",
    f"nft add rule ip {TABLE} hold jump HOLD",
)


class Held:
    """The packets that a node would send by now (state: those that were heard of).

    destinations: where each goes, in the order in which they came.
    """

    def __init__(self) -> None:
        self._queue = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, uapi.NETLINK_NETFILTER)
        self._queue.settimeout(PATIENCE_S)
        self._numbers: list[bytes] = []
        self.destinations: list[IPv4Address] = []
        self._say(CONFIG, CONFIG_COMMAND, struct.pack(">BxH", BIND, socket.AF_INET))
        self._say(CONFIG, CONFIG_PARAMETERS, struct.pack(">IB", HEADER_BYTES, COPY_PACKET))

    def wait(self, count: int) -> None:
        """Until so many more have come."""
        enough = len(self._numbers) + count
        while len(self._numbers) < enough:
            for heard in messages(self._queue.recv(1 << 16)):
                if heard.kind == PACKET:
                    found = attributes(heard.body, 4)
                    self._numbers.append(found[PACKET_HEADER][:4])
                    self.destinations.append(IPv4Address(found[PAYLOAD][DESTINATION]))

    def release(self) -> None:
        """Let all of them go, the first one first."""
        for number in self._numbers:
            self._say(VERDICT, VERDICT_HEADER, struct.pack(">I", ACCEPT) + number)
        self._numbers, self.destinations = [], []

    def close(self) -> None:
        """What is still held is lost."""
        self._queue.close()

    def _say(self, kind: int, what: int, value: bytes) -> None:
        header = struct.pack(">BBH", socket.AF_INET, 0, NUMBER)
        self._queue.send(message(kind, 0, header + attribute(what, value)))


@contextmanager
def held(bed: Bed, node: str, protocol: str, port: int) -> Iterator[Held]:
    """Whatever the node sends to a port waits behind its translation, before it is confirmed."""
    with inside(bed.store, node):
        queue = Held()
    try:
        for command in HOLD:
            argv = command.replace("PROTOCOL", protocol).replace("PORT", str(port)).split()
            done = bed.run(node, *argv)
            if "NFQUEUE" in argv and done.returncode:
                pytest.skip(f"this kernel has no NFQUEUE: {done.stderr.strip()}")
            assert done.returncode == 0, done.stderr
        yield queue
    finally:
        queue.close()
        assert bed.run(node, "nft", "delete", "table", "ip", TABLE).returncode == 0
    assert not bed.drift()
