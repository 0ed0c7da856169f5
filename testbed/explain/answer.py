"""What `explain` answers: the question, what was predicted, what was seen, where they differ."""

from dataclasses import dataclass
from typing import Literal

from testbed.explain.compare import Difference
from testbed.explain.journey import Header, RoundTrip
from testbed.net.facts import IpAddress

Kind = Literal[
    "pod",
    "node",
    "instance",
    "vpc",
    "internet-gateway",
    "nat-gateway",
    "load-balancer",
    "private-gateway",
    "transit-gateway",
    "customer-gateway",
    "host",
    "internet",
    "other",
]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A namespace as people know it.

    inside: a pod's node, a node's or gateway's VPC.  devices: its network interfaces, used or not.
    """

    ns: str
    kind: Kind = "other"
    inside: str = ""
    detail: str = ""  # `t3.small, us-west-2a`
    addresses: tuple[IpAddress, ...] = ()
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """All that is known of one packet.

    predicted: a round trip for each outcome of a random choice, the likeliest first.
    observed: what a real packet did; None when nothing was sent.
    difference: the first one between the two.  drift: the first one between what the plan
    predicts and what the kernel's own state does.
    """

    lab: str
    source: str  # as asked: names or addresses
    destination: str
    header: Header
    predicted: tuple[RoundTrip, ...]
    observed: RoundTrip | None = None
    difference: Difference | None = None
    drift: Difference | None = None
    edits: tuple[str, ...] = ()  # what-if
    witnesses: tuple[str, ...] = ()  # packet taps, nft trace, tracefs
    contradictions: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()  # what a witness says besides
    places: tuple[Place, ...] = ()

    @property
    def shown(self) -> RoundTrip:
        """The round trip that is told: the real one, else the likeliest."""
        return self.observed or self.predicted[0]

    @property
    def delivered(self) -> bool:
        """Whether the packet arrived and its reply, if there was one, came back."""
        back = self.shown.back
        return self.shown.there.end.delivered and (back is None or back.end.delivered)

    def place(self, ns: str) -> Place:
        """The place of a namespace; one of kind `other` where nothing is known of it."""
        return next((place for place in self.places if place.ns == ns), Place(ns=ns))

    def name(self, address: IpAddress) -> str:
        """The namespace that has an address; empty when none is known."""
        return next((place.ns for place in self.places if address in place.addresses), "")
