"""What kernels remember of connections, as `conntrack -L` prints it, and what follows from it.

udp 17 29 src=10.0.2.5 dst=172.20.0.10 sport=12345 dport=53 [UNREPLIED]
          src=10.0.1.7 dst=10.0.2.5 sport=53 dport=12345 mark=0 use=1
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from testbed.explain.journey import Header, RoundTrip
from testbed.explain.packet import Flow, address_text
from testbed.explain.reasons import remembering

_TUPLE = re.compile(r"src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)")
_MARK = re.compile(r"mark=(\d+)")


@dataclass(frozen=True)
class Remembered:
    """A connection that a namespace knows already: its first packet's flow, and its answers'."""

    ns: str
    original: Flow
    replies: Flow
    answered: bool
    mark: int

    @property
    def to(self) -> str:
        """Where it sends packets: `10.0.1.7:53`."""
        return f"{address_text(self.replies.source)}:{self.replies.source_port}"


def entries(ns: str, listed: str) -> Iterator[Remembered]:
    """The entries of a namespace's listing, of TCP and UDP."""
    for line in listed.splitlines():
        tuples = _TUPLE.findall(line)
        if len(tuples) == 2:
            protocol = line.split()[0]
            original, replies = (_flow(protocol, *one) for one in tuples)
            mark = _MARK.search(line)
            answered = "[UNREPLIED]" not in line
            yield Remembered(ns, original, replies, answered, int(mark[1]) if mark else 0)


def _flow(protocol: str, source: str, destination: str, port: str, other_port: str) -> Flow:
    ends = int(IPv4Address(source)), int(port), int(IPv4Address(destination)), int(other_port)
    return Flow(protocol, *ends)


def judged(
    trip: RoundTrip, new: Iterable[RoundTrip], remembered: Iterable[Remembered]
) -> RoundTrip:
    """The same, with the memory named as the reason where a new connection would fare better.

    new: what would become of one.
    """
    end = trip.there.end
    better = {one.there.end.ns for one in new if one.there.end.delivered}
    if not better or (end.delivered and end.ns in better):
        return trip
    met = {(one.ns, one.original): one for one in remembered}
    for visit in trip.there.visits:
        if entry := met.get((visit.ns, _flow_of(visit.arrived))):
            told = remembering(end, entry.ns, entry.original, entry.to, sorted(better))
            return replace(trip, there=replace(trip.there, end=told))
    return trip


def _flow_of(header: Header) -> Flow:
    return Flow(
        header.protocol,
        int(header.source),
        header.source_port,
        int(header.destination),
        header.destination_port,
    )
