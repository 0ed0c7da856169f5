"""What a drawing says of each visit: a few lines on a card, the essence of what text tells."""

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from testbed.explain.journey import End, FabricStep, RoutingStep, Visit
from testbed.explain.render import wording
from testbed.explain.render.styled import fold

Tone = Literal["", "strong", "quiet", "change", "good", "bad"]

QUIET_LINES, RULE_LINES = 3, 4  # how much of an explanation and of a dropping rule a card holds


class CardLine(NamedTuple):
    """A line of a card: a short label at its left, and text."""

    label: str
    text: str
    tone: Tone = ""


def told(visit: Visit, end: End | None) -> list[CardLine]:
    """What there is to say of a visit.  end: of the journey, where it ends here."""
    lines = list(_changes(visit, "destination"))
    if visit.mark_in != visit.mark_out:
        lines.append(CardLine("mark", f"{visit.mark_in:#x} ⇒ {visit.mark_out:#x}", "change"))
    fabric = [step for step in visit.steps if isinstance(step, FabricStep)]
    translated = any(wording.translations(visit))
    lines += [line for one in fabric for line in _fabric(one, translated)]
    for step in visit.steps:  # the VPC's own steps say the same in AWS's words
        if isinstance(step, RoutingStep) and not fabric and not step.route.startswith("local "):
            lines += _routing(step)
    if wording.is_bridged(visit):
        lines.append(CardLine("bridge", wording.BRIDGED))
    lines += _changes(visit, "source")
    lines += _ending(visit, end) if end else ()
    return lines or [CardLine("", wording.endpoints(visit.arrived), "quiet")]


def folded(lines: Iterable[CardLine], columns: int) -> list[CardLine]:
    """The lines in as many as they take; an explanation that is too long ends in an ellipsis."""
    return [piece for line in lines for piece in _folded(line, columns)]


def _changes(visit: Visit, kind: str) -> Iterator[CardLine]:
    label = "DNAT" if kind == "destination" else "SNAT"
    for what, before, after in wording.translations(visit):
        if what == kind:
            yield CardLine(label, f"{before} ⇒ {after}", "change")


def _routing(step: RoutingStep) -> Iterator[CardLine]:
    yield CardLine("rule", step.rule or "none led to a route", "strong")
    if step.rule and step.route:
        yield CardLine("table", wording.route(step).removeprefix("table "))
    if step.why:
        yield CardLine("", step.why, "quiet")


def _fabric(step: FabricStep, translated: bool) -> Iterator[CardLine]:
    sign: tuple[str, Tone] = ("✓", "good") if step.passed else ("✗", "bad")
    yield CardLine(sign[0], step.name, sign[1])
    if translated and " becomes " in step.text:
        return  # the card has a line of its own for that
    text = step.text.removeprefix(f"{step.name}: ")
    yield CardLine("", text, "quiet" if step.passed else "")


def _ending(visit: Visit, end: End) -> Iterator[CardLine]:
    """That it arrived, or was dropped and why, unless the VPC's own last step has said so."""
    last = visit.steps[-1] if visit.steps else None
    if end.delivered:
        yield CardLine("✓", "delivered", "good")
        yield CardLine("", end.text, "quiet")
    elif not isinstance(last, FabricStep) or last.passed:
        yield CardLine("✗", "dropped here", "bad")
        yield CardLine("", end.text)


def _folded(line: CardLine, columns: int) -> Iterator[CardLine]:
    """The line in as many as it takes; a reason that is too long ends in an ellipsis."""
    most = QUIET_LINES if line.tone == "quiet" else RULE_LINES
    pieces = fold(line.text, columns, hang=0 if line.tone == "quiet" else 2)
    if len(pieces) > most:
        pieces = [*pieces[: most - 1], f"{pieces[most - 1][: columns - 1].rstrip()}…"]
    for number, piece in enumerate(pieces):
        yield CardLine(line.label if number == 0 else "", piece, line.tone)
