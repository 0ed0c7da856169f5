"""What becomes of a packet, computed from facts alone: nothing is sent.

Every outcome of a random choice is followed (kube-proxy's `statistic`, nft's `numgen`).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from math import prod

from testbed.explain.fabric import is_hairpin
from testbed.explain.journey import End, Header, Journey, RoundTrip
from testbed.explain.made import made
from testbed.explain.netfilter.conntrack import Tracking
from testbed.explain.netfilter.passage import Passage
from testbed.explain.packet import Flow, Packet, address, address_text
from testbed.explain.reasons import dropped, twice, unexpected
from testbed.explain.speech import speaks
from testbed.explain.walk.answers import answered, said
from testbed.explain.walk.receiving import arrive, arrive_copied
from testbed.explain.walk.sending import output
from testbed.explain.walk.sockets import Sockets
from testbed.explain.walk.space import Space
from testbed.explain.walk.trip import Ended, Trip
from testbed.explain.walk.world import World
from testbed.net.endpoints import Listener

MOST_BRANCHES = 4096
EVERYBODY = IPv4Address("255.255.255.255")


def predict(
    world: World,
    start: str,
    header: Header,
    listeners: Sockets | Iterable[Listener] | None = None,
    *,
    noted: bool = True,
) -> tuple[RoundTrip, ...]:
    """A round trip for each outcome of random choices, the likeliest first.

    header: source 0.0.0.0 for the one that the kernel of `start` chooses.
    listeners: who serves ports; None for all ports being served.  For many questions: Sockets.
    noted: False where only the ends are asked for: journeys without visits, a fifth quicker.
    """
    wrong = _not_predictable(world, start, header)
    if wrong:
        end = dropped("X_UNKNOWN", start, what=wrong)
        return (RoundTrip(there=Journey(visits=(), end=end)),)
    served = (
        listeners if listeners is None or isinstance(listeners, Sockets) else Sockets(listeners)
    )
    trips = list(_round_trips(_Question(world, start, header, served, noted)))
    if len(trips) > 1:
        trips.sort(key=_probability, reverse=True)
    return tuple(trips)


def _not_predictable(world: World, start: str, header: Header) -> str:
    if start not in world:
        return f"there is no namespace {start}"
    if header.source.version != 4 or header.destination.version != 4:
        return "IPv6"
    if header.destination.is_multicast or header.destination == EVERYBODY:
        return "multicast and broadcast"
    return ""


def _probability(trip: RoundTrip) -> float:
    return trip.there.probability * (trip.back.probability if trip.back else 1.0)


class Draws:
    """What chance picks (state: the picks so far): first what is asked for, then what may be."""

    def __init__(self, asked: tuple[int, ...] = ()) -> None:
        self._asked = asked
        self._picks: list[tuple[Sequence[float], int]] = []

    def draw(self, probabilities: Sequence[float]) -> int:
        """The place of the outcome that is picked."""
        place = len(self._picks)
        possible = (i for i, probability in enumerate(probabilities) if probability > 0)
        pick = self._asked[place] if place < len(self._asked) else next(possible, 0)
        self._picks.append((probabilities, pick))
        return pick

    def __len__(self) -> int:
        return len(self._picks)

    def probability(self, first: int, last: int) -> float:
        """How often the picks from `first` to before `last` come together."""
        if first == last:
            return 1.0
        return prod(probabilities[pick] for probabilities, pick in self._picks[first:last])

    def others(self) -> Iterator[tuple[int, ...]]:
        """What to ask for next, so that in the end each outcome was picked once."""
        picked = [pick for _, pick in self._picks]
        for place in range(len(self._asked), len(self._picks)):
            probabilities, pick = self._picks[place]
            for other in range(pick + 1, len(probabilities)):
                if probabilities[other] > 0:
                    yield (*picked[:place], other)


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked: of each outcome of chance the same."""

    world: World
    start: str
    header: Header
    served: Sockets | None
    noted: bool

    def trip(self, space: Space, packet: Packet, tracking: Tracking, draws: Draws) -> Trip:
        """A packet that is about to be made in a namespace."""
        passage = Passage(space.ns, packet, [], tracking, draws.draw, space.own)
        return Trip(self.world.links, packet, passage, space, self.noted)


def _round_trips(question: _Question) -> Iterator[RoundTrip]:
    asked: list[tuple[int, ...]] = [()]
    for _ in range(MOST_BRANCHES):
        draws = Draws(asked.pop())
        yield _round_trip(question, draws)
        asked.extend(draws.others())
        if not asked:
            return


def _round_trip(question: _Question, draws: Draws) -> RoundTrip:
    """Of the packet that is asked about; of one that comes later, if the first let it."""
    asked, tracking = question.header, Tracking()
    first = Packet(replace(asked, size=0) if asked.protocol == "tcp" else asked)
    trip, answer = _exchange(question, first, tracking, draws)
    if answer is None or not (speaks(asked) and trip.is_answered):
        return trip
    return _exchange(question, said(asked, answer), tracking, draws)[0]


def _exchange(
    question: _Question, packet: Packet, tracking: Tracking, draws: Draws
) -> tuple[RoundTrip, Packet | None]:
    """A packet's way there, and its answer's way back; the answer, if there is one."""
    trip = question.trip(question.world.space(question.start), packet, tracking, draws)
    end, told = _there(trip, question.served)
    there = _journey(trip, end, draws.probability(0, len(draws)))
    answer = answered(trip, end, told, question.served)
    if answer is None:
        return RoundTrip(there=there), None
    first = len(draws)
    back = question.trip(trip.space, answer, tracking, draws)
    end = _back(back, question.start, trip)
    journey = _journey(back, end, draws.probability(first, len(draws)))
    return made(RoundTrip, there=there, back=journey), answer


def _journey(trip: Trip, end: End, probability: float) -> Journey:
    return made(Journey, visits=tuple(trip.visits), end=end, probability=probability)


def _there(trip: Trip, served: Sockets | None) -> tuple[End, str]:
    """The end of the way there, and what the sender is told if not answered."""
    try:
        _travel(trip)
        packet, ns = trip.packet, trip.space.ns
        if served is not None and not served.take(ns, packet):
            told = "RST" if packet.protocol == "tcp" else "port-unreachable"
            port = packet.destination_port
            trip.drop("X_CLOSED_PORT", told, protocol=packet.protocol, port=port)
        end, told = _delivered(ns, f"{ns} sees {_caller(packet)}"), ""
        if by := _copied_by(trip):
            end = twice(end, by)
    except Ended as ended:
        end, told = ended.end, ended.told
    trip.leave("")
    return end, told


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
    return made(End, delivered=True, ns=ns, text=text, code="", advice="")


def _caller(packet: Packet) -> str:
    port = packet.source_port if packet.protocol != "icmp" else 0
    host = address_text(packet.source)
    return f"{host}:{port}" if port else host


def _back(trip: Trip, home: str, there: Trip) -> End:
    """The end of the way back.  there: the packet that an answer must belong to."""
    sent = there.sent
    try:
        _travel(trip, is_answer=True)
        packet, ns = trip.packet, trip.space.ns
        if ns != home or _about(packet) != sent:
            called = f"{address(sent.destination)}"
            called += f":{sent.destination_port}" if sent.protocol != "icmp" else ""
            if is_hairpin(there.places, trip.places):
                source = address(packet.source)
                trip.drop("X_NLB_HAIRPIN", what=unexpected(ns, source, called))
            trip.drop("X_UNEXPECTED_REPLY", called=called)
        end = _delivered(ns, f"{ns} gets {packet.kind or 'the answer'}")
    except Ended as ended:
        end = ended.end
    trip.leave("")
    return end


def _about(packet: Packet) -> Flow:
    """The flow that an answer or an error belongs to."""
    return packet.quoted if packet.quoted is not None else packet.flow.turned()


def _travel(trip: Trip, *, is_answer: bool = False) -> None:
    """Until the packet is delivered to the trip's namespace.  Raises Ended."""
    trip.enter(trip.space, "")
    place = output(trip, is_answer=is_answer)
    while (onwards := arrive(trip, *place)) is not None:
        place = onwards
