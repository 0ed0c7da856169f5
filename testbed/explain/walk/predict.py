"""What becomes of a packet, computed from facts alone: nothing is sent.

Every outcome of a random choice is followed (kube-proxy's `statistic`, nft's `numgen`).
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from testbed.explain.fabric import is_hairpin
from testbed.explain.journey import End, Header, Journey, RoundTrip
from testbed.explain.netfilter.conntrack import Tracking
from testbed.explain.netfilter.passage import Passage
from testbed.explain.netfilter.remembered import Remembered
from testbed.explain.packet import Flow, Packet, address, address_text
from testbed.explain.reasons import dropped, twice, unexpected
from testbed.explain.speech import speaks
from testbed.explain.walk.answers import answered, said
from testbed.explain.walk.chance import Draws
from testbed.explain.walk.facts.sockets import Sockets
from testbed.explain.walk.facts.space import Space
from testbed.explain.walk.frames.links import Arrival
from testbed.explain.walk.trip import MOST_VISITS, Ended, Trip
from testbed.explain.walk.visit.receiving import arrive, arrive_copied
from testbed.explain.walk.visit.visit import visit
from testbed.explain.walk.world import World
from testbed.net.served.endpoints import Listener

MOST_BRANCHES = 4096
MULTICAST = 0xE  # the first four bits of 224.0.0.0/4
EVERYBODY = IPv4Address("255.255.255.255")
GOOD = End(delivered=True, ns="", text="delivered")  # where nobody asks how


def predict(
    world: World,
    start: str,
    header: Header,
    listeners: Sockets | Iterable[Listener] | None = None,
    *,
    remembered: tuple[Remembered, ...] = (),
) -> tuple[RoundTrip, ...]:
    """A round trip for each outcome of random choices, the likeliest first.

    header: source 0.0.0.0 for the one that the kernel of `start` chooses.
    listeners: who serves ports; None for all ports being served.  For many questions: Sockets.
    remembered: the connections that kernels know already, which a packet may belong to.
    """
    end = _not_predictable(world, start, header)
    if end is not None:
        return (RoundTrip(there=Journey(visits=(), end=end)),)
    question = _Question(world, start, header, _sockets(listeners), remembered, noted=True)
    trips = list(map(_described, _outcomes(question)))
    if len(trips) > 1:
        trips.sort(key=_probability, reverse=True)
    return tuple(trips)


def failure(
    world: World,
    start: str,
    header: Header,
    listeners: Sockets | Iterable[Listener] | None = None,
) -> End | None:
    """How a packet or its answer ends where it does not get through; None where both do.

    The same as `predict` says, of any outcome of chance, but three times as quick: nothing is
    described, and visits are remembered from packet to packet.
    """
    end = _not_predictable(world, start, header)
    if end is not None:
        return end
    for outcome in _outcomes(
        _Question(world, start, header, _sockets(listeners), (), noted=False)
    ):
        if not outcome.end.delivered:
            return outcome.end
        if outcome.back_end is not None and not outcome.back_end.delivered:
            return outcome.back_end
    return None


def _not_predictable(world: World, start: str, header: Header) -> End | None:
    if start not in world:
        what = f"there is no namespace {start}"
    elif header.source.version != 4 or header.destination.version != 4:
        what = "IPv6"
    elif int(header.destination) >> 28 == MULTICAST or header.destination == EVERYBODY:
        what = "multicast and broadcast"
    else:
        return None
    return dropped("X_UNKNOWN", start, what=what)


def _sockets(listeners: Sockets | Iterable[Listener] | None) -> Sockets | None:
    return listeners if listeners is None or isinstance(listeners, Sockets) else Sockets(listeners)


def _probability(trip: RoundTrip) -> float:
    return trip.there.probability * (trip.back.probability if trip.back else 1.0)


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked: of each outcome of chance the same."""

    world: World
    start: str
    header: Header
    served: Sockets | None
    remembered: tuple[Remembered, ...]
    noted: bool

    def trip(self, space: Space, packet: Packet, tracking: Tracking, draws: Draws) -> Trip:
        """A packet that is about to be made in a namespace."""
        passage = Passage(space.ns, packet, [], tracking, draws.draw, space.own)
        return Trip(self.world.links, packet, passage, space, self.noted)

    def travel(self, trip: Trip, *, is_answer: bool = False) -> None:
        """Until the packet is delivered to the trip's namespace.  Raises Ended."""
        place: Arrival | None = (trip.space, "")
        if not self.noted:
            place = self._hurried(trip, place, is_answer=is_answer)
        while place is not None:
            place = visit(trip, *place, is_answer=is_answer)

    def _hurried(self, trip: Trip, place: Arrival | None, *, is_answer: bool) -> Arrival | None:
        """The same by what is remembered, as far as packets go that are not in a loop."""
        visit_again = self.world.visits.visit
        for _ in range(MOST_VISITS):
            if place is None:
                break
            space, dev = place
            place = visit_again(trip, space, dev, is_answer=is_answer)
        return place


@dataclass(slots=True)
class _Outcome:
    """A packet's way, and that of what came back (state: filled in as they end).

    draws: what chance picked; the first ones, up to `first`, on the way there.
    """

    draws: Draws
    there: Trip
    end: End
    first: int
    back: Trip | None = None
    back_end: End | None = None

    @property
    def is_answered(self) -> bool:
        """Whether the packet and what came back were both delivered."""
        return self.end.delivered and self.back_end is not None and self.back_end.delivered


def _outcomes(question: _Question) -> Iterator[_Outcome]:
    """One for each outcome of chance."""
    asked: list[tuple[int, ...]] = [()]
    for _ in range(MOST_BRANCHES):
        draws = Draws(asked.pop())
        yield _outcome(question, draws)
        asked.extend(draws.others())
        if not asked:
            return


def _outcome(question: _Question, draws: Draws) -> _Outcome:
    """Of the packet that is asked about; of one that comes later, if the first let it."""
    asked, tracking = question.header, Tracking(question.remembered, question.world.crowd)
    first = Packet(replace(asked, size=0) if asked.size and asked.protocol == "tcp" else asked)
    found, answer = _exchange(question, first, tracking, draws)
    if answer is None or not (speaks(asked) and found.is_answered):
        return found
    return _exchange(question, said(asked, answer), tracking, draws)[0]


def _exchange(
    question: _Question, packet: Packet, tracking: Tracking, draws: Draws
) -> tuple[_Outcome, Packet | None]:
    """A packet's way there, and its answer's way back; the answer, if there is one."""
    trip = question.trip(question.world.space(question.start), packet, tracking, draws)
    end, told = _there(trip, question)
    found = _Outcome(draws, trip, end, len(draws))
    answer = answered(trip, end, told, question.served)
    if answer is not None:
        found.back = question.trip(trip.space, answer, tracking, draws)
        found.back_end = _back(found.back, question, trip)
    return found, answer


def _described(outcome: _Outcome) -> RoundTrip:
    draws, first = outcome.draws, outcome.first
    there = _journey(outcome.there, outcome.end, draws.probability(0, first))
    if outcome.back is None or outcome.back_end is None:
        return RoundTrip(there=there)
    probability = draws.probability(first, len(draws))
    return RoundTrip(there=there, back=_journey(outcome.back, outcome.back_end, probability))


def _journey(trip: Trip, end: End, probability: float) -> Journey:
    return Journey(visits=tuple(trip.visits), end=end, probability=probability)


def _there(trip: Trip, question: _Question) -> tuple[End, str]:
    """The end of the way there, and what the sender is told if not answered."""
    served = question.served
    try:
        question.travel(trip)
        packet, ns = trip.packet, trip.space.ns
        if served is not None and not served.take(ns, packet):
            told = "RST" if packet.protocol == "tcp" else "port-unreachable"
            port = packet.destination_port
            trip.drop("X_CLOSED_PORT", told, protocol=packet.protocol, port=port)
        end, told = _seen(trip), ""
    except Ended as ended:
        end, told = ended.end, ended.told
    trip.leave("")
    return end, told


def _seen(trip: Trip) -> End:
    """That the packet was delivered; twice, where a copy of it got there too."""
    if not trip.noted and not trip.copied:
        return GOOD
    ns = trip.space.ns
    end = _delivered(ns, f"{ns} sees {_caller(trip.packet)}")
    by = _copied_by(trip)
    return twice(end, by) if by else end


def _copied_by(trip: Trip) -> str:
    """The namespace whose promiscuous bridge made a copy that got to where the packet is."""
    for packet, space, port in trip.copied:
        passage = Passage(space.ns, packet, [], Tracking(), trip.passage.draw, space.own)
        copy = Trip(trip.links, packet, passage, space, noted=False)
        with suppress(Ended):
            onwards = arrive_copied(copy, space, port)
            while onwards is not None:
                onwards = arrive(copy, *onwards)
            if copy.space is trip.space:
                return space.ns
    return ""


def _delivered(ns: str, text: str) -> End:
    return End(delivered=True, ns=ns, text=text)


def _caller(packet: Packet) -> str:
    port = packet.source_port if packet.protocol != "icmp" else 0
    host = address_text(packet.source)
    return f"{host}:{port}" if port else host


def _back(trip: Trip, question: _Question, there: Trip) -> End:
    """The end of the way back.  there: the packet that an answer must belong to."""
    sent = there.sent
    try:
        question.travel(trip, is_answer=True)
        packet, ns = trip.packet, trip.space.ns
        if ns != question.start or _about(packet) != sent:
            called = f"{address(sent.destination)}"
            called += f":{sent.destination_port}" if sent.protocol != "icmp" else ""
            if is_hairpin(there.places, trip.places):
                source = address(packet.source)
                trip.drop("X_NLB_HAIRPIN", what=unexpected(ns, source, called))
            trip.drop("X_UNEXPECTED_REPLY", called=called)
        got = packet.kind or "the answer"
        end = _delivered(ns, f"{ns} gets {got}") if trip.noted else GOOD
    except Ended as ended:
        end = ended.end
    trip.leave("")
    return end


def _about(packet: Packet) -> Flow:
    """The flow that an answer or an error belongs to."""
    return packet.quoted if packet.quoted is not None else packet.flow.turned()
