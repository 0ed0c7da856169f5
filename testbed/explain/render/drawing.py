"""An answer as the slide's drawing, in SVG, light or dark as the reader likes."""

from collections.abc import Iterator
from html import escape

from testbed.explain.answer import Answer
from testbed.explain.render import wording
from testbed.explain.render.layout import (
    LINE,
    MARGIN,
    PAD,
    DrawnCard,
    Layout,
    Rect,
    Wire,
)
from testbed.explain.render.scene import Scene, Stand
from testbed.explain.render.styled import fold

LETTER = 8.2  # px: a letter of the verdict, generously
STYLE = """
svg { --paper: #ffffff; --ink: #1d2433; --soft: #667085; --line: #c9d1de; --card: #ffffff;
  --node: #f3f6fb; --pod: #e4f3e8; --vpc: #fdf3e3; --gateway: #f1ecfb; --internet: #e8f2fb;
  --there: #1f5fd0; --back: #0b8a7d; --good: #15803d; --bad: #c4281f; --change: #8a3ffc }
@media (prefers-color-scheme: dark) {
  svg { --paper: #12161d; --ink: #e6eaf2; --soft: #98a2b3; --line: #3d4758; --card: #1a202a;
    --node: #1a212d; --pod: #1b3226; --vpc: #33291a; --gateway: #2a2440; --internet: #1a2c3d;
    --there: #7fb0ff; --back: #4fd1c0; --good: #5fd38a; --bad: #ff8078; --change: #c4a1ff } }
text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, "DejaVu Sans", sans-serif;
  fill: var(--ink) }
.mono { font: 12.5px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  white-space: pre }
.title { font-size: 22px; font-weight: 650 } .name { font-size: 15px; font-weight: 650 }
.soft, .quiet { fill: var(--soft) } .quiet { font-style: italic }
.label { font-size: 11px; font-weight: 650; fill: var(--soft) }
.strong { font-weight: 700; fill: var(--there) } .change { font-weight: 700; fill: var(--change) }
.good { font-weight: 700; fill: var(--good) } .bad { font-weight: 700; fill: var(--bad) }
.paper { fill: var(--paper) } .box { stroke: var(--line) } .card { fill: var(--card);
  stroke: var(--line) } .card.bad { stroke: var(--bad); stroke-width: 2 }
.card.good { stroke: var(--good); stroke-width: 2 }
.node, .other, .load-balancer { fill: var(--node) } .pod { fill: var(--pod) }
.vpc { fill: var(--vpc) } .internet { fill: var(--internet) }
.nat-gateway, .internet-gateway { fill: var(--gateway) }
.unreached { stroke-dasharray: 5 4; opacity: .7 }
.port { fill: var(--card); stroke: var(--line) } .unused { opacity: .45 }
.wire { fill: none; stroke-width: 3; stroke: var(--there) }
.wire.back { stroke: var(--back); stroke-width: 2; stroke-dasharray: 7 5 }
.tip { fill: var(--there) } .tip.back { fill: var(--back) }
.badge { fill: var(--there) } .badge.back { fill: var(--back) }
.badge.bad { fill: var(--bad); stroke: none } .badge.good { fill: var(--good); stroke: none }
.number { font-size: 12px; font-weight: 700; fill: var(--paper); text-anchor: middle }
.verdict { fill: var(--card); stroke-width: 2 } .verdict.good { stroke: var(--good) }
.verdict.bad { stroke: var(--bad) } .end { text-anchor: end } .middle { text-anchor: middle }
"""


def svg(answer: Answer) -> str:
    """The drawing as a document of its own."""
    layout = Layout(Scene(answer))
    verdict = list(_verdict(answer, layout))
    height = layout.height + 30 + 20 * len(verdict)
    body = [
        *_heading(answer, layout),
        *_boxes(answer, layout),
        *(_wire(wire) for wire in layout.wires),
        *_veths(layout),
        *_ports(layout),
        *(line for one in layout.cards.values() for line in _card(one)),
        *_pod_badges(layout),
        *_banner(answer, layout, verdict),
    ]
    size = f'width="{layout.width:.0f}" height="{height:.0f}"'
    view = f'viewBox="0 0 {layout.width:.0f} {height:.0f}"'
    label = f"{answer.source} to {answer.destination}: {wording.ending(answer)}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {view} role="img">',
            f"<title>{escape(label)}</title>",
            f"<style>{STYLE}</style>",
            MARKERS,
            '<rect class="paper" width="100%" height="100%"/>',
            *body,
            "</svg>\n",
        ]
    )


MARKERS = "".join(
    f'<marker id="tip-{way}" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="{size}" '
    f'markerHeight="{size}" markerUnits="userSpaceOnUse" orient="auto">'
    f'<path class="tip {way}" d="M0 0 10 5 0 10z"/></marker>'
    for way, size in (("there", 14), ("back", 12))
)


def _heading(answer: Answer, layout: Layout) -> Iterator[str]:
    ends = wording.endpoints(wording.asked(answer))
    yield _text(MARGIN, 38, f"{answer.source} → {answer.destination}", "title")
    how = "seen on a real packet" if answer.observed else "predicted"
    told = f"{wording.sent(answer)} · {ends} · {how}"
    yield _text(MARGIN, 62, told, "soft")
    right = layout.width - MARGIN
    yield _text(right, 38, "the packet", "soft end")
    yield _wire(Wire([(right - 122, 34), (right - 78, 34)], "there"))
    if answer.shown.back:
        yield _text(right, 60, "its reply", "soft end")
        yield _wire(Wire([(right - 122, 56), (right - 78, 56)], "back"))


def _boxes(answer: Answer, layout: Layout) -> Iterator[str]:
    for stand in layout.scene.stands():
        yield from _box(stand, layout)
        for pod in stand.pods:
            box = layout.boxes[pod.ns]
            yield _rect(box, f"box pod{_unreached(pod.ns, layout)}", 8)
            yield _text(box.middle, box.y + 25, pod.ns, "name middle")
            yield _text(box.middle, box.y + 45, ", ".join(map(str, pod.addresses)), "mono middle")


def _box(stand: Stand, layout: Layout) -> Iterator[str]:
    place, box = stand.place, layout.boxes[stand.place.ns]
    yield _rect(box, f"box {place.kind}{_unreached(place.ns, layout)}", 12)
    # wires enter a bar from above, so its name is below its cards
    y = box.bottom - 14 if place.kind == "vpc" else box.y + 25
    yield _text(box.x + PAD, y, place.ns, "name")
    yield _text(box.right - PAD, y, wording.described(place), "soft end")


def _unreached(ns: str, layout: Layout) -> str:
    reached = {stop.ns for stop in [*layout.scene.stops, *layout.scene.stops_back]}
    reached |= {layout.scene.column_of(other) for other in reached}
    return "" if ns in reached else " unreached"


def _ports(layout: Layout) -> Iterator[str]:
    used = {(hop.column, hop.dev) for hop in layout.scene.hops if hop.link == "port"}
    for key, port in layout.ports.items():
        faint = "" if key in used else " unused"
        yield _rect(port, f"port{faint}", 5)
        # the name is beside the wires that go through
        yield _text(port.x + 8, port.y + 16, key[1], f"mono{faint}")


def _veths(layout: Layout) -> Iterator[str]:
    """The node's end of each pod's link, beside the wires of that pod."""
    named: dict[str, str] = {}
    for hop in layout.scene.hops:
        if hop.link == "pod":
            node = hop.start.visit if hop.start.ns != hop.pod else hop.finish.visit
            dev = node.dev_out if node is hop.start.visit else node.dev_in
            named.setdefault(hop.pod, dev)
    for pod, dev in named.items():
        box = layout.boxes[pod]
        yield _text(box.middle + 18, box.bottom + 28, dev, "mono soft")


def _wire(wire: Wire) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in wire.points)
    return (
        f'<polyline class="wire {wire.way}" marker-end="url(#tip-{wire.way})" points="{points}"/>'
    )


def _card(drawn: DrawnCard) -> Iterator[str]:
    rect = drawn.rect
    state = " bad" if drawn.dropped else " good" if drawn.delivered else ""
    yield _rect(rect, f"card{state}", 7)
    for number, line in enumerate(drawn.lines):
        y = rect.y + 24 + LINE * number
        if line.label:
            tone = line.tone if line.label in "✓✗" else "label"
            yield _text(rect.x + PAD, y, line.label, tone)
        yield _text(rect.x + PAD + drawn.indent, y, line.text, f"mono {line.tone}".rstrip())
    # at its side, where no wire comes in
    way = "" if drawn.number else " back"
    yield from _badge(rect.x, rect.y + 20, str(drawn.number or "◂"), way)
    if state:
        yield from _badge(rect.right, rect.y + 20, "✗" if drawn.dropped else "✓", state)


def _pod_badges(layout: Layout) -> Iterator[str]:
    """The numbers of the pods on the way there, and the marks of those where it ended."""
    for stop in layout.scene.stops:
        if stop in layout.scene.card_of:
            continue
        box = layout.boxes[stop.ns]
        yield from _badge(box.x, box.y + 20, str(stop.index + 1), "")
        if stop.end:
            sign, tone = ("✓", " good") if stop.end.delivered else ("✗", " bad")
            yield from _badge(box.right, box.y + 20, sign, tone)


def _badge(x: float, y: float, sign: str, tone: str) -> Iterator[str]:
    yield f'<circle class="badge{tone}" cx="{x:.1f}" cy="{y:.1f}" r="11"/>'
    yield _text(x, y + 4.5, sign, "number")


def _verdict(answer: Answer, layout: Layout) -> Iterator[tuple[str, str]]:
    """The verdict's lines, each with its tone."""
    columns = int((layout.width - 2 * MARGIN - 60) / LETTER)
    sign, tone = ("✓", "good") if answer.delivered else ("✗", "bad")
    yield f"{sign} {wording.ending(answer)}", tone
    for said in wording.explanation(answer):
        yield from ((piece, "") for piece in fold(said, columns))
    for sentence in wording.remarks(answer):
        yield from ((piece, "change") for piece in fold(sentence, columns))


def _banner(answer: Answer, layout: Layout, verdict: list[tuple[str, str]]) -> Iterator[str]:
    top = layout.height - 8
    box = Rect(MARGIN, top, layout.width - 2 * MARGIN, 14 + 20 * len(verdict))
    yield _rect(box, f"verdict {'good' if answer.delivered else 'bad'}", 10)
    for number, (text, tone) in enumerate(verdict):
        yield _text(box.x + PAD, top + 22 + 20 * number, text, tone)


def _rect(rect: Rect, style: str, radius: int) -> str:
    place = f'x="{rect.x:.1f}" y="{rect.y:.1f}"'
    size = f'width="{rect.width:.1f}" height="{rect.height:.1f}"'
    return f'<rect class="{style}" {place} {size} rx="{radius}"/>'


def _text(x: float, y: float, text: str, style: str) -> str:
    shown = escape(text, quote=False)
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}">{shown}</text>'
