"""Visits that packets of a kind have made before: for those who ask about thousands of packets.

What a namespace does with a packet depends on the classes of its addresses there, on what its
rules look at, and on what conntrack knows: a packet that is equal in all of that goes the same
way.  Who answers ARP is asked each time; what depends on chance, on a translation or on a chain of
a Service is not remembered.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

from testbed.explain.journey import NetfilterStep, Step
from testbed.explain.netfilter.conntrack import Standing
from testbed.explain.netfilter.passage import NotPredicted
from testbed.explain.packet import Packet
from testbed.explain.routing.decision import Decision
from testbed.explain.walk.facts.space import Space
from testbed.explain.walk.frames.links import Arrival
from testbed.explain.walk.trip import Trip
from testbed.explain.walk.visit.visit import visit

MOST_REMEMBERED = 1 << 17  # visits of one namespace; then it forgets them all

Kind = tuple[Any, ...]
Read = Callable[[Packet], Any]
_TRANSLATED = attrgetter("source", "destination", "source_port", "destination_port")
# What rules may look at that is alike for all packets when they come in, or known by other means
_NO_DIFFERENCE = frozenset(
    [
        *("iif", "oif", "mark", "physin", "physout", "ethertype", "next_hop", "ttl", "dmac"),
        *("source", "destination", "ct", "ct_mark", "direction", "state"),
    ]
)


class _Visited(NamedTuple):
    """What became of a packet: where it arrives next, its MACs and its TTL then.

    back_by: the device by which it was sent back, if it was.
    asking: the decision for whose device the MAC is asked for each time.
    standing: of its connection; None without one.
    """

    onwards: Arrival | None
    smac: str
    dmac: str
    ttl: int
    back_by: str
    asking: Decision | None
    standing: Standing | None


class _Place:
    """One namespace, as far as it is known (state: the visits)."""

    __slots__ = ("classes", "inner", "read_coming", "read_made", "tracks", "visits")

    def __init__(self, space: Space) -> None:
        self.classes = space.classes
        self.read_coming = _reader(space, made_here=False)
        self.read_made = _reader(space, made_here=True)
        self.tracks = space.netfilter.tracks
        self.inner = space.netfilter.inner
        self.visits: dict[Kind, _Visited] = {}

    def remember(self, kind: Kind, visited: _Visited) -> None:
        """For the next packet of that kind."""
        if len(self.visits) >= MOST_REMEMBERED:
            self.visits.clear()
        self.visits[kind] = visited


def _reader(space: Space, *, made_here: bool) -> Read:
    names = sorted(space.netfilter.reads(made_here=made_here) - _NO_DIFFERENCE)
    return attrgetter(*names) if names else _nothing


def _nothing(_: Packet) -> None:
    return None


def _led_to(step: Step) -> str:
    """The chain that a rule sent the packet to; empty for none."""
    return step.verdict.partition(" ")[2] if isinstance(step, NetfilterStep) else ""


class KnownVisits(dict[Space, _Place]):
    """The visits of one world's namespaces (state: those that were made so far)."""

    def __missing__(self, space: Space) -> _Place:
        found = self[space] = _Place(space)
        return found

    def visit(self, trip: Trip, space: Space, dev: str, *, is_answer: bool) -> Arrival | None:
        """Where the packet arrives next, as `visit` says, without its steps.  Raises Ended."""
        packet = trip.packet
        if packet.mark or packet.quoted or packet.size or not packet.source:
            return visit(trip, space, dev, is_answer=is_answer)
        place = self[space]
        classes, tracking = place.classes, place.tracks and trip.passage.tracking
        kind = (
            dev or is_answer,
            classes[packet.source],
            classes[packet.destination],
            packet.source == packet.destination,
            packet.dmac,
            packet.ttl,
            place.read_coming(packet) if dev else place.read_made(packet),
            tracking.standing(space.ns, packet, packet.flow) if tracking else None,
        )
        found = place.visits.get(kind)
        if found is None:
            return _made(trip, space, dev, kind, place)
        if found.asking is None:
            packet.dmac = found.dmac
        elif not _asks(trip, space, found.asking):
            return visit(trip, space, dev, is_answer=is_answer)
        packet.smac, packet.ttl = found.smac, found.ttl
        if tracking and found.standing is not None:
            tracking.stand(space.ns, packet.flow, found.standing)
        trip.pass_through(space, found.back_by, is_end=found.onwards is None)
        return found.onwards


def _asks(trip: Trip, space: Space, decision: Decision) -> bool:
    """Whether the destination answers ARP; the frame gets its MAC."""
    packet = trip.packet
    try:
        leaving = trip.links.leaving(space, decision, packet.source, packet.destination)
    except NotPredicted:
        return False
    if not leaving.mac:
        return False  # and the packet is as it came
    packet.dmac = leaving.mac
    return True


def _made(trip: Trip, space: Space, dev: str, kind: Kind, place: _Place) -> Arrival | None:
    """A visit, remembered where all packets of its kind will go the same way."""
    packet, passage = trip.packet, trip.passage
    passage.is_single, trip.asking = False, None
    header = _TRANSLATED(packet)
    onwards = visit(trip, space, dev, is_answer=kind[0] is True)
    if passage.is_single or _TRANSLATED(packet) != header:
        return onwards
    if onwards is not None and onwards[0] is space:
        return onwards  # over lo, or a veth whose ends are both here: it keeps its mark
    if trip.asking is not None and trip.asking.dev in space.bridges:
        return onwards  # the MAC says which port
    if not place.inner.isdisjoint(map(_led_to, passage.steps)):
        return onwards
    standing = passage.tracking.standing(space.ns, packet, packet.flow)
    if standing is not None:
        known = standing if isinstance(standing, Standing) else None
        frame = packet.smac, packet.dmac, packet.ttl
        found = _Visited(onwards, *frame, trip.back_by, trip.asking, known)
        place.remember(kind, found)
    return onwards
