"""Who stands where in a drawing of an answer, without any coordinates.

Columns stand on bars: nodes with their pods, gateways and the internet on the VPCs' routers.  Each
visit to a column or a bar has a card; the reply goes through the cards that are there already.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from testbed.explain.answer import Answer, Place
from testbed.explain.compare import Way
from testbed.explain.journey import End, Journey, Visit

Link = Literal["pod", "port", "side"]


@dataclass(frozen=True)
class Stop:
    """A visit as one point of a way.  end: of the journey, where this visit is its last."""

    way: Way
    index: int
    visit: Visit
    end: End | None = None

    @property
    def ns(self) -> str:
        """The namespace that is visited."""
        return self.visit.ns


@dataclass(eq=False)
class Card:
    """Where one or more visits to a column or a bar are drawn; the first one is told."""

    ns: str
    stops: list[Stop]
    between: tuple[str, ...] = ()  # of a bar's card: the columns it joins


@dataclass(eq=False)
class Stand:
    """A column or a bar, the pods in it and the cards on it."""

    place: Place
    pods: list[Place] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)


@dataclass(frozen=True)
class Hop:
    """From one stop to the next.  link: how they are joined; dev: the column's own device.

    column: the column whose pod or port it is; empty for `side`.
    """

    start: Stop
    finish: Stop
    link: Link
    column: str = ""
    dev: str = ""
    pod: str = ""


class Scene:
    """The stands of an answer in their order, and all hops."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.columns: dict[str, Stand] = {}
        self.bars: dict[str, Stand] = {}
        self.card_of: dict[Stop, Card] = {}
        trip = answer.shown
        self.stops = list(_stops("there", trip.there))
        self.stops_back = list(_stops("back", trip.back)) if trip.back else []
        for stop in [*self.stops, *self.stops_back]:
            self._stand(answer.place(stop.ns))
        self.goal = self._goal()
        self._put_together()
        for stops in (self.stops, self.stops_back):
            self._deal(stops)
        self.hops = [*self._hops(self.stops), *self._hops(self.stops_back)]

    def column_of(self, ns: str) -> str:
        """The column a namespace is in: a pod's node, or itself; empty for a bar."""
        place = self._answer.place(ns)
        if place.kind == "vpc":
            return ""
        on_node = place.kind == "pod" and self._answer.place(place.inside).kind == "node"
        return place.inside if on_node else ns

    def stands(self) -> Iterator[Stand]:
        """All columns, then all bars."""
        yield from self.columns.values()
        yield from self.bars.values()

    def _stand(self, place: Place) -> None:
        column = self.column_of(place.ns)
        if not column:
            self.bars.setdefault(place.ns, Stand(place))
            return
        stand = self.columns.setdefault(column, Stand(self._answer.place(column)))
        if column != place.ns and place not in stand.pods:
            stand.pods.append(place)

    def _goal(self) -> str:
        """The namespace that was asked for but not reached; empty when the packet got there."""
        name = self._answer.name(self._answer.header.destination)
        if not name or any(stop.ns == name for stop in self.stops):
            return ""
        self._stand(self._answer.place(name))
        return name

    def _put_together(self) -> None:
        """Columns of one VPC side by side, else in the order in which the packet met them."""
        order = list(self.columns)
        first: dict[str, int] = {}
        for number, ns in enumerate(order):
            first.setdefault(self.columns[ns].place.inside or ns, number)
        order.sort(key=lambda ns: first[self.columns[ns].place.inside or ns])
        self.columns = {ns: self.columns[ns] for ns in order}

    def _deal(self, stops: list[Stop]) -> None:
        """Each stop its card; a pod that stands on a node needs none."""
        for number, stop in enumerate(stops):
            column = self.column_of(stop.ns)
            if column and column != stop.ns:
                continue
            around = stops[max(number - 1, 0) : number] + stops[number + 1 : number + 2]
            between = () if column else tuple(sorted(self.column_of(one.ns) for one in around))
            stand = self.columns[column] if column else self.bars[stop.ns]
            card = _shared(stand.cards, stop, between)
            if card is None:
                card = Card(stop.ns, [], between)
                stand.cards.append(card)
            card.stops.append(stop)
            self.card_of[stop] = card

    def _hops(self, stops: list[Stop]) -> Iterator[Hop]:
        for start, finish in pairwise(stops):
            near, far = self.column_of(start.ns), self.column_of(finish.ns)
            if near and near == far:
                pod = start.ns if start.ns != near else finish.ns
                yield Hop(start, finish, "pod", column=near, pod=pod)
            elif bool(near) != bool(far):
                dev = start.visit.dev_out if near else finish.visit.dev_in
                yield Hop(start, finish, "port", column=near or far, dev=dev)
            else:
                yield Hop(start, finish, "side")


def _stops(way: Way, journey: Journey) -> Iterator[Stop]:
    last = len(journey.visits) - 1
    for index, visit in enumerate(journey.visits):
        yield Stop(way, index, visit, journey.end if index == last else None)


def _shared(cards: Iterable[Card], stop: Stop, between: tuple[str, ...]) -> Card | None:
    """The card of the way there that a reply's visit can go through."""
    if stop.way == "there":
        return None
    fitting = [card for card in cards if not card.between or card.between == between]
    free = [card for card in fitting if all(other.way == "there" for other in card.stops)]
    chosen = free or fitting
    return chosen[-1] if chosen else None
