"""Coordinates for a scene: boxes, cards, ports and wires, in pixels of the drawing.

Every wire between a pod, a card, a port and a bar is vertical: a card is wide enough to meet all
of its wires, so that no wire needs a bend and none crosses a text.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise

from testbed.explain.answer import Kind
from testbed.explain.compare import Way
from testbed.explain.render import wording
from testbed.explain.render.cards import CardLine, folded, told
from testbed.explain.render.scene import Card, Hop, Scene, Stand, Stop

MARGIN, GAP = 28, 40  # around the drawing; between columns
TOP = 84  # title and subtitle
TITLE = 40  # the head of a box
PAD = 16  # between a box and what is in it
LINE, LETTER = 19, 7.53  # a card's line; a letter of 12.5 px in a monospaced font
WIDE = 9.4  # a letter of a name, which is bold
LABELS, SIGNS = 48, 20  # the column of a card's labels; of its signs, where it has no labels
POD_WIDTH, POD_HEIGHT, POD_GAP = 176, 58, 24
VETH = 46  # from pods down to the first card
PORT_WIDTH, PORT_HEIGHT = 92, 24
DROP = 62  # from columns down to bars
SPREAD, APART = 18, 44  # between wires side by side; between those of two cards
LEAST_CARD = 300
LEAST_WIDTH = 720  # of the drawing: title and legend side by side
LINKED = 76  # the least height of a card that is entered by its side

WIDTHS: dict[Kind, int] = {
    "node": 456,
    "internet-gateway": 300,
    "nat-gateway": 300,
    "load-balancer": 320,
    "internet": 300,
}
OTHER_WIDTH = 360


@dataclass
class Rect:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The x of its right side."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y of its lower side."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """The x half-way."""
        return self.x + self.width / 2


@dataclass
class DrawnCard:
    """A card with its text, which stands `indent` from its labels.

    number: which stop of the way there it is; 0 for the reply's own.
    """

    rect: Rect
    lines: list[CardLine]
    indent: int
    number: int
    delivered: bool = False
    dropped: bool = False


@dataclass
class Wire:
    """A line along points, an arrow at its end."""

    points: list[tuple[float, float]]
    way: Way


class Layout:
    """Where all of a scene is; its attributes are what is drawn."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.boxes: dict[str, Rect] = {}  # columns, bars and pods by namespace
        self.ports: dict[tuple[str, str], Rect] = {}
        self.cards: dict[Card, DrawnCard] = {}
        self._across()
        self.wire_x = dict(self._spread())
        self._down()
        self._bars()
        self.wires = [self._wire(hop) for hop in scene.hops]
        self.width = max(box.right for box in self.boxes.values()) + MARGIN
        drawn = [*self.boxes.values(), *self.ports.values()]
        self.height = max(rect.bottom for rect in drawn) + MARGIN

    def _across(self) -> None:
        """The columns side by side, pods and ports in them; heights come later."""
        x = float(MARGIN)
        for ns, stand in self.scene.columns.items():
            place = stand.place
            pods = [max(POD_WIDTH, WIDE * len(pod.ns) + 2 * PAD) for pod in stand.pods]
            width = max(
                WIDTHS.get(place.kind, OTHER_WIDTH),
                sum(pods) + max(len(pods) - 1, 0) * POD_GAP + 2 * PAD,
                WIDE * len(ns) + LETTER * len(wording.described(place)) + 4 * PAD,
            )
            if len(self.scene.columns) == 1:
                width = max(width, LEAST_WIDTH - 2 * MARGIN)
            self.boxes[ns] = Rect(x, TOP, width, 0)
            left = x + PAD
            for pod, wide in zip(stand.pods, pods, strict=True):
                self.boxes[pod.ns] = Rect(left, TOP + TITLE, wide, POD_HEIGHT)
                left += wide + POD_GAP
            devices = sorted({*place.devices, *self._devices(ns)})
            for number, dev in enumerate(devices):
                middle = x + width * (number + 1) / (len(devices) + 1)
                wide = max(PORT_WIDTH, LETTER * len(dev) + PAD)
                self.ports[ns, dev] = Rect(middle - wide / 2, 0, wide, PORT_HEIGHT)
            x += width + GAP

    def _devices(self, column: str) -> set[str]:
        return {hop.dev for hop in self.scene.hops if (hop.column, hop.link) == (column, "port")}

    def _spread(self) -> Iterator[tuple[Hop, float]]:
        """The x of each vertical wire: side by side at its pod or port.

        At a port, wires of one card of the bar stand together, the left card's first.
        """
        uses: dict[tuple[str, str], list[Hop]] = {}
        for hop in self.scene.hops:
            if hop.link != "side":
                anchor = (hop.pod, "") if hop.link == "pod" else (hop.column, hop.dev)
                uses.setdefault(anchor, []).append(hop)
        for anchor, hops in uses.items():
            rect = self.boxes[anchor[0]] if not anchor[1] else self.ports[anchor]
            hops.sort(key=self._other_side)
            sides = [self._other_side(hop)[0] for hop in hops]
            steps = [SPREAD if one == other else APART for one, other in pairwise(sides)]
            left = rect.middle - sum(steps) / 2
            yield from zip(hops, accumulate(steps, initial=left), strict=True)

    def _other_side(self, hop: Hop) -> tuple[float, int]:
        """Where a wire's card leads to besides this column, then the way there before back."""
        stop = hop.start if hop.start.ns in self.scene.bars else hop.finish
        way = int(hop.start.way == "back")
        if hop.link == "pod" or stop.ns not in self.scene.bars:
            return 0, way
        others = [ns for ns in self.scene.card_of[stop].between if ns and ns != hop.column]
        return (self.boxes[others[0]].middle if others else self.boxes[hop.column].middle), way

    def _down(self) -> None:
        """The cards of each column under each other; all columns stand on one line."""
        heights = {}
        for ns, stand in self.scene.columns.items():
            box = self.boxes[ns]
            y = box.y + TITLE + (POD_HEIGHT + VETH if stand.pods else 0)
            for one in stand.cards:
                self._place(one, Rect(box.x + PAD, y, box.width - 2 * PAD, 0))
                y = self.cards[one].rect.bottom + PAD
            heights[ns] = y + PORT_HEIGHT / 2 + 8 - TOP
        with_pods = [heights[ns] for ns, stand in self.scene.columns.items() if stand.pods]
        highest = max(heights.values())
        for ns, stand in self.scene.columns.items():
            box = self.boxes[ns]
            box.height = max(with_pods) if stand.pods else heights[ns]
            box.y += highest - box.height
            for pod in stand.pods:
                self.boxes[pod.ns].y += highest - box.height
            for one in stand.cards:
                self.cards[one].rect.y += highest - heights[ns]
        bottom = TOP + highest
        for port in self.ports.values():
            port.y = bottom - PORT_HEIGHT / 2

    def _bars(self) -> None:
        """Under the columns of a VPC its router, whose cards stand between the wires they join."""
        top = max(self.boxes[ns].bottom for ns in self.scene.columns) + DROP
        for ns, stand in self.scene.bars.items():
            above = [
                self.boxes[column]
                for column, other in self.scene.columns.items()
                if other.place.inside == ns
            ] or [self.boxes[column] for column in self.scene.columns]
            left, right = min(box.x for box in above), max(box.right for box in above)
            box = self.boxes[ns] = Rect(left, top, right - left, 0)
            box.height = self._fill(stand, box) - top + TITLE

    def _fill(self, stand: Stand, box: Rect) -> float:
        """A bar's cards in lanes, no two of one lane over each other; the lowest y."""
        reach = {one: self._reach(one) for one in stand.cards}
        y = box.y + PAD
        for lane in _lanes(stand.cards, reach):
            bottom = y
            left = box.x + PAD
            for number, one in enumerate(lane):
                nearest = reach[lane[number + 1]][0] - 8 if number + 1 < len(lane) else None
                limit = nearest or box.right - PAD
                low, high = reach[one]
                low = max(left, min(low, high - LEAST_CARD))
                high = min(limit, max(high, low + LEAST_CARD))
                self._place(one, Rect(low, y, high - low, 0))
                left = high + 8
                bottom = max(bottom, self.cards[one].rect.bottom)
            y = bottom + PAD
        return y - PAD

    def _reach(self, one: Card) -> tuple[float, float]:
        """From where to where a bar's card has to go, to meet all its wires."""
        xs = [
            x
            for hop, x in self.wire_x.items()
            if one in (self.scene.card_of.get(hop.start), self.scene.card_of.get(hop.finish))
        ]
        return min(xs, default=MARGIN) - 10, max(xs, default=MARGIN) + 10

    def _place(self, one: Card, rect: Rect) -> None:
        first = one.stops[0]
        lines = told(first.visit, first.end)
        lines += [
            CardLine("✗", "the reply is dropped here", "bad")
            for stop in one.stops[1:]
            if stop.end is not None and not stop.end.delivered
        ]
        indent = LABELS if any(line.label not in "✓✗" for line in lines) else SIGNS
        lines = folded(lines, int((rect.width - indent - 2 * PAD) / LETTER))
        stand = self.scene.columns.get(one.ns)
        least = LINKED if stand and not stand.pods else 0
        rect.height = max(18 + LINE * max(len(lines), 1), least)
        self.cards[one] = DrawnCard(
            rect,
            lines,
            indent,
            number=first.index + 1 if first.way == "there" else 0,
            delivered=bool(first.end and first.end.delivered),
            dropped=any(stop.end and not stop.end.delivered for stop in one.stops),
        )

    def _wire(self, hop: Hop) -> Wire:
        if hop.link == "side":
            return Wire(self._sideways(hop), hop.start.way)
        x = self.wire_x[hop]
        start, finish = self._rect(hop.start), self._rect(hop.finish)
        falls = start.y < finish.y
        ends = (start.bottom, finish.y) if falls else (start.y, finish.bottom)
        return Wire([(x, ends[0]), (x, ends[1])], hop.start.way)

    def _sideways(self, hop: Hop) -> list[tuple[float, float]]:
        """From a card's side to the next one's, with a step in the gap where they differ."""
        start, finish = self._rect(hop.start), self._rect(hop.finish)
        low = 28 if hop.start.way == "there" else 28 - SPREAD
        right = start.x < finish.x
        begin = (start.right if right else start.x, start.bottom - low)
        end = (finish.x if right else finish.right, finish.bottom - low)
        if begin[1] == end[1]:
            return [begin, end]
        turn = (begin[0] + end[0]) / 2
        return [begin, (turn, begin[1]), (turn, end[1]), end]

    def _rect(self, stop: Stop) -> Rect:
        """A stop's card, or the pod that is one itself."""
        found = self.scene.card_of.get(stop)
        return self.cards[found].rect if found else self.boxes[stop.ns]


def _lanes(cards: Iterable[Card], reach: Mapping[Card, tuple[float, float]]) -> list[list[Card]]:
    """The cards in as few rows as it takes, each from left to right without an overlap."""
    lanes: list[list[Card]] = []
    for one in sorted(cards, key=lambda one: reach[one]):
        for lane in lanes:
            if reach[lane[-1]][1] <= reach[one][0]:
                lane.append(one)
                break
        else:
            lanes.append([one])
    return lanes
