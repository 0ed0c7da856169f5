"""Charts as SVG: lines over a logarithmic number of pods, and bars of a logarithmic time."""

from collections.abc import Iterable, Mapping, Sequence
from math import log10

WIDTH, HEIGHT, MARGIN = 640, 300, 60
COLOURS = ("#1f6feb", "#8b949e", "#d29922", "#cf222e", "#8250df")
BAR, GAP = 26, 14

Line = Sequence[tuple[float, float]]


def lines(title: str, series: Mapping[str, Line]) -> str:
    """Microseconds a pod over the number of pods."""
    points = [point for line in series.values() for point in line]
    left, right = (log10(pick(x for x, _ in points)) for pick in (min, max))
    top = max(y for _, y in points) * 1.15

    def place(x: float, y: float) -> tuple[float, float]:
        across = MARGIN + (log10(x) - left) / (right - left or 1) * (WIDTH - 2 * MARGIN)
        return across, HEIGHT - MARGIN + y / top * (2 * MARGIN - HEIGHT)

    body = []
    for colour, (name, line) in zip(COLOURS, series.items(), strict=False):
        places = [place(x, y) for x, y in line]
        path = " ".join(f"{x:.0f},{y:.0f}" for x, y in places)
        body.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        body += [f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="{colour}"/>' for x, y in places]
        x, y = places[-1]
        body.append(_text(x - 6, y - 10, name, "end", colour))
    ticks = sorted({x for x, _ in points})
    body += [_text(place(x, 0)[0], HEIGHT - MARGIN + 20, f"{x:g}", "middle") for x in ticks]
    marks = [top * part / 4 for part in range(5)]
    body += [_text(MARGIN - 8, place(10**left, y)[1] + 4, f"{y:.0f}", "end") for y in marks]
    return _drawing(title, HEIGHT, body)


def bars(title: str, values: Mapping[str, float]) -> str:
    """One bar each, the shortest first; a tenth of the width is a factor of about two."""
    ordered = sorted(values.items(), key=lambda item: item[1])
    least, most = log10(ordered[0][1]) - 0.5, log10(ordered[-1][1])
    body = []
    for row, (name, value) in enumerate(ordered):
        y = MARGIN + row * (BAR + GAP)
        width = (log10(value) - least) / (most - least or 1) * (WIDTH - 4 * MARGIN)
        colour = COLOURS[row % len(COLOURS)]
        body.append(_text(2 * MARGIN - 8, y + BAR * 0.7, name, "end"))
        shape = f'x="{2 * MARGIN}" y="{y}" width="{width:.0f}" height="{BAR}"'
        body.append(f'<rect {shape} fill="{colour}" rx="3"/>')
        body.append(_text(2 * MARGIN + width + 8, y + BAR * 0.7, f"{value:,.0f} µs", "start"))
    return _drawing(title, MARGIN + len(ordered) * (BAR + GAP), body)


def _drawing(title: str, height: float, body: Iterable[str]) -> str:
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">'
    ground = f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
    heading = _text(WIDTH / 2, 28, title, "middle", size=15)
    return "\n".join([head, ground, heading, *body, "</svg>", ""])


def _text(
    x: float, y: float, said: str, anchor: str, colour: str = "#24292f", *, size: int = 12
) -> str:
    place = f'x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text {place} fill="{colour}">{said}</text>'
