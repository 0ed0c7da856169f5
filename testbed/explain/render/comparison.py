"""The parts of an answer that set ways side by side: branches, what was predicted and seen."""

from collections.abc import Iterator
from itertools import zip_longest

from testbed.explain import compare
from testbed.explain.answer import Answer
from testbed.explain.journey import Journey, RoundTrip, RoutingStep, Visit
from testbed.explain.render import wording
from testbed.explain.render.styled import Line, Paper, Span, Style, fold

GOOD: Style = "good"
BAD: Style = "bad"

ONE_PERCENT = 0.01


def summary(journey: Journey, paper: Paper) -> Iterator[Line]:
    """A way in short: a line for each namespace."""
    column = max((len(visit.ns) for visit in journey.visits), default=0) + 2
    for visit in journey.visits:
        name = f"{visit.ns}: " if paper.narrow else visit.ns.ljust(column)
        indent = "  " if paper.narrow else " " * len(name)
        for number, piece in enumerate(fold(_short(visit), paper.width - 2 - len(name))):
            shown = Span(name, "name") if number == 0 else Span(indent)
            yield Span("  "), shown, Span(piece)


def _short(visit: Visit) -> str:
    routing = [step for step in visit.steps if isinstance(step, RoutingStep)]
    words = [wording.devices(visit)]
    words += [wording.selected(step) for step in routing]
    words += [f"{before} ⇒ {after}" for _, before, after in wording.translations(visit)]
    return " · ".join(words)


def branches(answer: Answer, paper: Paper, *, full: bool) -> Iterator[Line]:
    """What else a random choice allows: where it ends, and with `full` the whole way."""
    others = [branch for branch in answer.predicted if branch is not _told(answer)]
    if others:
        yield ()
        yield (Span("by chance as well", "name"),)
    for branch in others:
        end = branch.there.end
        fate = f"delivered to {end.ns}" if end.delivered else f"dropped in {end.ns}, {end.code}"
        sign, style = ("✓", GOOD) if end.delivered else ("✗", BAD)
        told = f"{_share(compare.probability(branch))} of the time {fate}"
        yield from paper.noted(f"  {sign} ", style, told)
        if full:
            yield from summary(branch.there, paper)


def _share(probability: float) -> str:
    """`50%`; what may happen is never said to happen 0% of the time."""
    return f"{probability:.0%}" if probability >= ONE_PERCENT else "less than 1%"


def _told(answer: Answer) -> RoundTrip:
    """The predicted branch that is shown, or that fits what was seen."""
    if answer.observed is None:
        return answer.predicted[0]
    return compare.closest(answer.predicted, answer.observed)


def agreement(answer: Answer, paper: Paper) -> Iterator[Line]:
    """Whether what was predicted happened, and whether the kernel is as it was planned."""
    yield ()
    if answer.observed is None:
        yield from paper.noted("", "", "Predicted; nothing was sent.", "quiet")
    elif answer.difference is None:
        seen = f" Seen by {', '.join(answer.witnesses)}." if answer.witnesses else ""
        yield from paper.noted("= ", "good", f"Predicted and observed agree.{seen}", "quiet")
    else:
        yield from _side_by_side(answer, answer.observed, paper)
        told = answer.difference.sentence("predicted", "observed")
        yield from paper.noted("≠ ", "bad", f"First difference: {told}")
    if answer.drift:
        told = answer.drift.sentence("planned", "now")
        yield from paper.noted("! ", "warn", f"The kernel is not as planned. {told}")


def _side_by_side(answer: Answer, observed: RoundTrip, paper: Paper) -> Iterator[Line]:
    predicted = _told(answer)
    left, right = predicted.there, observed.there
    if answer.difference and answer.difference.way == "back" and predicted.back and observed.back:
        left, right = predicted.back, observed.back
    yield from _columns("predicted", "observed", paper, "quiet")
    for one, other in zip_longest(_stations(left), _stations(right), fillvalue=""):
        yield from _columns(one, other, paper)


def _stations(journey: Journey) -> Iterator[str]:
    """`node-1 → eth1` for each namespace that was left, then the end."""
    yield from (f"{visit.ns} → {visit.dev_out}" for visit in journey.visits if visit.left)
    yield f"{'✓' if journey.end.delivered else '✗'} {journey.end.ns}"


def _columns(left: str, right: str, paper: Paper, style: Style = "") -> Iterator[Line]:
    room = (paper.width - 3) // 2
    sides = fold(left, room, 2), fold(right, room, 2)
    sign = Span("   ")
    if left and right and not style:
        sign = Span(" = ") if left == right else Span(" ≠ ", BAD)
    for row in range(max(map(len, sides))):
        one, other = (side[row] if row < len(side) else "" for side in sides)
        yield Span(one.ljust(room), style), sign, Span(other, style)
        sign = Span("   ")
