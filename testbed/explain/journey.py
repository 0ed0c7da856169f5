"""What became of a packet: the values that prediction and observation both end in.

A Journey is a list of Visits, one for each time the packet was in a namespace; a Visit tells what
each stage of that kernel did with it, in order, and the `why` of the fact behind each step.
"""

from dataclasses import dataclass
from typing import Literal

from testbed.net.facts import IpAddress

SIZES = 68, 65535  # bytes: every link of IPv4 carries the least (RFC 791), no packet has more

Protocol = Literal["icmp", "tcp", "udp"]
FIRST_KIND = {"icmp": "echo-request", "tcp": "SYN", "udp": ""}  # of a new connection


@dataclass(frozen=True, kw_only=True)
class Header:
    """What is told of a packet from outside; for ICMP the ports are identifier and sequence.

    size: bytes from its IP header to its end; 0 where nobody asked or knows.
    """

    protocol: Protocol
    source: IpAddress
    destination: IpAddress
    source_port: int = 0
    destination_port: int = 0
    ttl: int = 64  # net.ipv4.ip_default_ttl
    kind: str = (
        ""  # TCP flags (`SYN`, `SYN,ACK`, `RST`) or ICMP (`echo-request`, `port-unreachable`)
    )
    size: int = 0


@dataclass(frozen=True, kw_only=True)
class NetfilterStep:
    """A rule that matched, or a base chain's policy that decided."""

    family: str  # ip, bridge, inet
    table: str
    chain: str
    rule: str  # as iptables-save or nft list prints it; `policy drop` for a policy
    verdict: str  # accept, drop, return, jump CHAIN, dnat to 10.0.0.1:80, continue …
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class RoutingStep:
    """One routing decision: the ip rule, the table and the route it ended in."""

    rule: str  # `1536: from 10.0.1.13 lookup 2`; empty where none led to a route
    table: str
    route: str
    dev: str
    next_hop: str = ""
    neighbour: str = ""  # `lladdr 02:… PERMANENT`, `FAILED`; empty where nobody is asked
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class FabricStep:
    """A step of the VPC in AWS's words: source check, route table, internet gateway."""

    name: str
    text: str
    passed: bool
    why: str = ""


Step = NetfilterStep | RoutingStep | FabricStep


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A packet in one namespace.  `left` is None where it ended: delivered or dropped."""

    ns: str
    dev_in: str  # empty where it was made
    dev_out: str
    arrived: Header
    left: Header | None
    mark_in: int = 0
    mark_out: int = 0
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, kw_only=True)
class End:
    """How a journey ended.

    code: empty when delivered, and only once; else AWS Reachability Analyzer's explanation code
    where one fits, else one of ours, `X_…`.  advice: what to change, in one sentence.
    """

    delivered: bool
    ns: str
    text: str
    code: str = ""
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class Journey:
    """One way of a packet, of all that a random choice allows (probability below 1)."""

    visits: tuple[Visit, ...]
    end: End
    probability: float = 1.0


@dataclass(frozen=True, kw_only=True)
class RoundTrip:
    """The way there and, where something answered, the way back."""

    there: Journey
    back: Journey | None = None

    @property
    def is_answered(self) -> bool:
        """Whether it arrived, and its answer came back."""
        return self.there.end.delivered and self.back is not None and self.back.end.delivered
