"""A namespace's table of connections, filled as a busy year would."""

import socket
import struct

import pytest

from testbed.kernel.namespaces.store import NamespaceStore
from testbed.kernel.netlink import uapi
from testbed.kernel.netlink.conntrack import Table, table
from testbed.kernel.netlink.socket import NetlinkSocket
from testbed.kernel.netlink.wire import attribute, attribute_u8, message
from testbed.probes.sockets import inside

MANY = 1 << 20  # connections, of some 300 bytes each: a machine that allows more is not filled
FIRST_CALLER = 240 << 24  # reserved addresses: no lab has them

# linux/netfilter/nfnetlink_conntrack.h, nf_conntrack_common.h
CT_NEW, NESTED = uapi.NFNL_SUBSYS_CTNETLINK << 8, 1 << 15
TUPLE_ORIG, TUPLE_REPLY, STATUS, TIMEOUT = 1 | NESTED, 2 | NESTED, 3, 7
TUPLE_IP, TUPLE_PROTO = 1 | NESTED, 2 | NESTED
SEEN_REPLY, ASSURED, CONFIRMED = 1 << 1, 1 << 2, 1 << 3
HOUR = struct.pack(">I", 3600)


def fill(store: NamespaceStore, ns: str, *, answered: bool = True) -> int:
    """Connections up to the last that the kernel takes.

    answered: and ASSURED, so that the kernel gives up none for a new one, nor by itself: those
    that were there before should not end meanwhile either.
    Returns how many there are.  Skips where a machine allows too many for a test.
    """
    with inside(store, ns), NetlinkSocket(uapi.NETLINK_NETFILTER) as kernel:
        entries, most = table()
        if not 0 < most <= MANY:
            pytest.skip(f"nf_conntrack_max of this machine is {most}: too many for a test")
        kernel.send([_udp(i, answered) for i in range(most - entries)])
        assert not answered or table() == Table(most, most)
    return most


def _udp(number: int, answered: bool) -> bytes:
    """One connection: its first datagram, and what answers it."""
    caller = struct.pack(">I", FIRST_CALLER + number)
    return caller.join(PARTS[answered])


def _tuple(kind: int, source: bytes, destination: bytes) -> bytes:
    addresses = attribute(1, source) + attribute(2, destination)
    ports = b"".join(attribute(kind, struct.pack(">H", 9)) for kind in (2, 3))
    protocol = attribute_u8(1, socket.IPPROTO_UDP) + ports
    return attribute(kind, attribute(TUPLE_IP, addresses) + attribute(TUPLE_PROTO, protocol))


def _parts(status: int) -> list[bytes]:
    """What all connections have alike: before, between and behind the caller's two addresses."""
    return message(
        CT_NEW,
        uapi.NLM_F_CREATE,
        struct.pack(">BBH", socket.AF_INET, 0, 0)
        + _tuple(TUPLE_ORIG, CALLER, SERVER)
        + _tuple(TUPLE_REPLY, SERVER, CALLER)
        + attribute(STATUS, struct.pack(">I", status))
        + attribute(TIMEOUT, HOUR),
    ).split(CALLER)


SERVER, CALLER = bytes([192, 0, 2, 1]), bytes([255, 255, 255, 255])
PARTS = {False: _parts(CONFIRMED), True: _parts(CONFIRMED | SEEN_REPLY | ASSURED)}
