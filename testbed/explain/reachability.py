"""Who reaches whom, predicted for all pairs, and the pairs that change between two labs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.explain.journey import End, Header, Protocol, RoundTrip
from testbed.explain.made import made
from testbed.net.facts import IpAddress
from testbed.net.served.endpoints import Endpoint, Probed

Failure = Callable[[str, Header], End | None]  # how what a namespace sends fails, if it does
Pair = tuple[str, str, str]  # from, to, protocol
PROTOCOLS: tuple[Probed, ...] = ("icmp", "tcp")

CLIENT_PORT = 32768  # the first of net.ipv4.ip_local_port_range: rules may name these ports
FIRST_PACKETS: dict[str, tuple[Protocol, str]] = {
    "icmp": ("icmp", "echo-request"),
    "tcp": ("tcp", "SYN"),
    "http": ("tcp", "SYN"),
    "udp": ("udp", ""),
}


@dataclass(frozen=True)
class Reach:
    """What becomes of one pair.  `code` and `text` tell why it fails, or fails at times."""

    delivered: bool
    code: str = ""
    text: str = ""
    advice: str = ""

    def __str__(self) -> str:
        return "delivered" if self.delivered else self.code or self.text


Reachability = Mapping[Pair, Reach]

DELIVERED = Reach(delivered=True)
NO_SUCH = Reach(delivered=False, text="not in this lab")


def question(
    protocol: str, source: IpAddress, destination: IpAddress, port: int = 0, size: int = 0
) -> Header:
    """The first packet of a connection, from a port that clients have, or an echo request."""
    name, kind = FIRST_PACKETS[protocol]
    return made(
        Header,
        protocol=name,
        source=source,
        destination=destination,
        source_port=CLIENT_PORT if name != "icmp" else 0,
        destination_port=port,
        ttl=Header.ttl,
        kind=kind,
        size=size,
    )


def reach(branches: Iterable[RoundTrip]) -> Reach:
    """What a prediction comes to; of a random choice the branch that fails counts."""
    for branch in branches:
        for journey in (branch.there, branch.back):
            if journey is not None and not journey.end.delivered:
                return failed(journey.end)
    return DELIVERED


def failed(end: End | None) -> Reach:
    """What a failure comes to, and that there is none."""
    if end is None:
        return DELIVERED
    return Reach(delivered=False, code=end.code, text=end.text, advice=end.advice)


def reachability(
    failure: Failure, endpoints: Sequence[Endpoint], sources: Sequence[Endpoint]
) -> Reachability:
    """From these sources to every endpoint that serves the protocol, as in a matrix."""
    return {
        (source.name, to.name, protocol): failed(
            failure(source.netns, question(protocol, source.address, to.address, port))
        )
        for protocol in PROTOCOLS
        for to in endpoints
        if (port := to.port(protocol)) is not None
        for source in sources
        if source.netns != to.netns
    }


@dataclass(frozen=True)
class Change:
    """A pair whose answer is not the same; one that is new or gone has no answer there."""

    pair: Pair
    before: Reach
    after: Reach

    def to_json(self) -> dict[str, str]:
        """The change as plain values."""
        source, destination, protocol = self.pair
        return {
            "from": source,
            "to": destination,
            "protocol": protocol,
            "before": str(self.before),
            "after": str(self.after),
            "reason": self.after.text or self.before.text,
        }


def changes(before: Reachability, after: Reachability) -> list[Change]:
    """The pairs whose answers differ, in order."""
    found = [
        Change(pair, before.get(pair, NO_SUCH), after.get(pair, NO_SUCH))
        for pair in sorted({**before, **after})
    ]
    return [
        one
        for one in found
        if (one.before.delivered, one.before.code) != (one.after.delivered, one.after.code)
    ]


def told(before: Reachability, after: Reachability) -> dict[str, Any]:
    """The comparison as plain values: how many pairs, how many work after, which change.

    added, removed: the ends that only one of both has; each of their pairs is a change.
    """
    old, new = _ends(before), _ends(after)
    return {
        "pairs": len(after),
        "delivered": sum(one.delivered for one in after.values()),
        "added": sorted(new - old),
        "removed": sorted(old - new),
        "changes": [one.to_json() for one in changes(before, after)],
    }


def _ends(pairs: Iterable[Pair]) -> set[str]:
    return {name for source, destination, _ in pairs for name in (source, destination)}
