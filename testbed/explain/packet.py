"""A packet while kernels change it, and what they remember of connections.

Addresses are numbers here: a prediction compares thousands of them.
"""

from functools import lru_cache
from ipaddress import IPv4Address
from typing import Literal, NamedTuple

from testbed.explain.journey import FIRST_KIND, Header
from testbed.explain.made import made

TTL = 64  # net.ipv4.ip_default_ttl, of what a kernel sends and answers
LARGEST = 65536  # bytes: the loopback's MTU; no packet has more
IP_AND_TCP = 40  # bytes of both headers, without which TCP counts its segments
NOT_KNOWN = 0  # a port that a kernel chooses at random
# What rules are asked about such a port: it is in every range that is meant for them, Linux' own
# (net.ipv4.ip_local_port_range), a NAT gateway's (from 1024) and IANA's (from 49152)
EPHEMERAL = 49152

# linux/icmp.h: type and code by the kind of a header
ICMP_KINDS = {
    "echo-request": (8, 0),
    "echo-reply": (0, 0),
    "net-unreachable": (3, 0),
    "host-unreachable": (3, 1),
    "prot-unreachable": (3, 2),
    "port-unreachable": (3, 3),
    "frag-needed": (3, 4),
    "net-prohibited": (3, 9),
    "host-prohibited": (3, 10),
    "admin-prohibited": (3, 13),
    "time-exceeded": (11, 0),
}
NO_ICMP = (-1, -1)
MORE_FRAGMENTS = 0x2000  # net/ip.h: IP_MF
ECHO = ("echo-request", "echo-reply")


class Flow(NamedTuple):
    """One direction of a connection; for ICMP both ports are the identifier."""

    protocol: str
    source: int
    source_port: int
    destination: int
    destination_port: int

    def turned(self) -> "Flow":
        """The flow of the answers."""
        protocol, source, port, destination, other_port = self
        return _flow((protocol, destination, other_port, source, port))


def _flow(parts: tuple[str, int, int, int, int]) -> Flow:
    """A flow, in half the time that its own constructor takes."""
    return tuple.__new__(Flow, parts)


NEITHER = frozenset[str]()


class Connection:
    """What one namespace knows of a connection (state: that is conntrack's entry).

    replies: the flow its answers have, which tells what was translated.
    """

    __slots__ = (
        "answered",
        "confirmed",
        "initialized",
        "is_translated",
        "mark",
        "original",
        "replies",
    )

    def __init__(self, original: Flow) -> None:
        self.original = original
        self.replies = original.turned()
        self.mark = 0
        self.initialized = NEITHER  # `source`, `destination`: chains were asked for it
        self.confirmed = False
        self.answered = False
        self.is_translated = False

    @property
    def is_source_translated(self) -> bool:
        """Whether answers go to another address or port than the one that called."""
        replies, original = self.replies, self.original
        return replies[3] != original[1] or replies[4] != original[2]

    @property
    def is_destination_translated(self) -> bool:
        """Whether answers come from another address or port than the one that was called."""
        replies, original = self.replies, self.original
        return replies[1] != original[3] or replies[2] != original[4]


State = Literal["new", "established", "related", "invalid", "untracked"]


class Packet:
    """A packet, its frame, and what the namespace it is in thinks of it (state: all of it).

    Rules read these attributes by name.
    """

    __slots__ = (
        "_header",
        "_seen",
        "connection",
        "destination",
        "destination_port",
        "dmac",
        "ethertype",
        "fragment",
        "fragments",
        "iif",
        "is_reply",
        "kind",
        "mark",
        "mss",
        "next_hop",
        "oif",
        "physin",
        "physout",
        "pkttype",
        "protocol",
        "quoted",
        "size",
        "smac",
        "source",
        "source_port",
        "state",
        "ttl",
    )

    def __init__(self, header: Header) -> None:
        self.protocol: str = header.protocol
        self.source = int(header.source)
        self.destination = int(header.destination)
        self.source_port = header.source_port
        self.destination_port = header.destination_port
        self.ttl = header.ttl
        self.size = header.size
        self.mss = 0  # of TCP: the largest segment its sender takes, without headers
        self.fragments = False  # where it is too big; else its sender forbids that (DF)
        self.fragment = 0  # flags and offset, of one of several
        self.kind = header.kind or FIRST_KIND[header.protocol]
        self.mark = 0
        self.next_hop = 0  # of its route, where it is forwarded
        self.iif = self.oif = self.physin = self.physout = ""
        self.smac = self.dmac = ""
        self.ethertype = "ip"
        self.pkttype = "host"
        self.quoted: Flow | None = None  # of an ICMP error: the flow it is about
        self.connection: Connection | None = None
        self.is_reply = False
        self.state: State = "untracked"
        self._seen: tuple[int, int, int, int, int] | None = None
        self._header = header

    def answered(self, kind: str, ttl: int = TTL) -> "Packet":
        """What is sent back to its sender."""
        answer = Packet(self._header)
        answer.source, answer.destination = self.destination, self.source
        if self.protocol != "icmp":
            answer.source_port, answer.destination_port = self.destination_port, self.source_port
        else:  # identifier and sequence
            answer.source_port, answer.destination_port = self.source_port, self.destination_port
        answer.ttl, answer.kind = ttl, kind
        answer.size = self.size if self.protocol == "icmp" else 0
        answer.fragments = True  # net/ipv4/icmp.c: IP_PMTUDISC_DONT
        return answer

    @property
    def sport(self) -> int:
        """The source port as rules see it."""
        return self.source_port or EPHEMERAL

    @property
    def dport(self) -> int:
        """The destination port as rules see it."""
        return self.destination_port or EPHEMERAL

    @property
    def header(self) -> Header:
        """The packet as values; the same one as long as nothing changes."""
        seen = (
            self.source,
            self.source_port,
            self.destination,
            self.destination_port,
            self.ttl,
        )
        if seen != self._seen:
            self._seen = seen
            self._header = made(
                Header,
                protocol=self._header.protocol,
                source=address(self.source),
                destination=address(self.destination),
                source_port=self.source_port,
                destination_port=self.destination_port,
                ttl=self.ttl,
                kind=self.kind,
                size=self.size,
            )
        return self._header

    @property
    def flow(self) -> Flow:
        """What connections are told apart by."""
        port = self.source_port
        other_port = port if self.protocol == "icmp" else self.destination_port
        return _flow((self.protocol, self.source, port, self.destination, other_port))

    @property
    def icmp_type(self) -> int:
        """The number; -1 for another protocol."""
        return ICMP_KINDS.get(self.kind, NO_ICMP)[0] if self.protocol == "icmp" else -1

    @property
    def icmp_code(self) -> int:
        """The number; -1 for another protocol."""
        return ICMP_KINDS.get(self.kind, NO_ICMP)[1] if self.protocol == "icmp" else -1

    @property
    def direction(self) -> str:
        """As `ct direction` names it."""
        return "reply" if self.is_reply else "original"

    @property
    def ct_mark(self) -> int:
        """The connection's mark."""
        return self.connection.mark if self.connection else 0

    @property
    def ct(self) -> frozenset[str]:
        """The words `ct state` and `ct status` know for it."""
        connection = self.connection
        if connection is None or not connection.is_translated:
            return _STATES[self.state, False, False]
        return _STATES[
            self.state, connection.is_source_translated, connection.is_destination_translated
        ]

    def forget(self, *, keep_mark: bool = False) -> None:
        """What is on no wire: another namespace knows nothing of it."""
        if not keep_mark:
            self.mark = 0
        self.connection = None
        self.is_reply = False
        self.state = "untracked"
        self.physin = self.physout = ""


_STATES = {
    (state, source, destination): frozenset(
        {state, *(["snat"] if source else []), *(["dnat"] if destination else [])}
    )
    for state in ("new", "established", "related", "invalid", "untracked")
    for source in (False, True)
    for destination in (False, True)
}


@lru_cache(1 << 16)
def address(number: int) -> IPv4Address:
    """A number as an address; equal ones are one object."""
    return IPv4Address(number)


@lru_cache(1 << 16)
def address_text(number: int) -> str:
    """A number as an address is written."""
    return str(IPv4Address(number))
