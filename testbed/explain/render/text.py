"""An answer as text: the packet's way down the left, what each kernel did with it at the right.

● node-1                                                  eni4448cbddedf → eth1
│ packet  10.0.1.13:40112 → 10.0.2.6:80  ttl 64 ⇒ 63
│ route   1536: from 10.0.1.13 lookup 2
│         table 2: default via 10.0.1.1 dev eth1
│           ↳ from a pod: out of the ENI that owns its address
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from testbed.explain.answer import Answer
from testbed.explain.journey import FabricStep, Journey, NetfilterStep, RoutingStep, Step, Visit
from testbed.explain.render import wording
from testbed.explain.render.comparison import agreement, branches, summary
from testbed.explain.render.styled import SPINE, Line, Paper, Span, Style, ansi, plain

LEAST, MOST = 24, 110  # columns: narrower or wider is not readable


def text(answer: Answer, width: int = 80, *, colour: bool = False, full: bool = False) -> str:
    """The answer for a terminal of this many columns; without colour it says the same.

    full: with the rules that the VPC is made of, beside what they are in AWS's words.
    """
    return (ansi if colour else plain)(lines(answer, width, full=full))


def lines(answer: Answer, width: int = 80, *, full: bool = False) -> Iterator[Line]:
    """The answer's lines, none longer than `width`."""
    paper = Paper(min(max(width, LEAST), MOST))
    yield from _question(answer, paper)
    yield ()
    for visit in answer.shown.there.visits:
        told = visit.steps if full else wording.essential(visit)
        yield from _visit(visit, list(wording.once(told)), paper)
    yield from _verdict(wording.ending(answer), answer.delivered, answer.shown.there, paper)
    yield from _reply(answer, paper)
    yield from branches(answer, paper, full=full)
    yield from agreement(answer, paper)
    for remark in answer.remarks:
        yield from paper.noted("· ", "quiet", remark, "quiet")
    for contradiction in answer.contradictions:
        yield from paper.noted("! ", "warn", f"The witnesses contradict: {contradiction}")


def _question(answer: Answer, paper: Paper) -> Iterator[Line]:
    asked = Span(f"{answer.source} → {answer.destination}", "name")
    seen = "observed" if answer.observed else "predicted"
    how = f"{wording.sent(answer)} · {seen}"
    yield from paper.sides(Span(""), asked, Span(how, "quiet"), Span(""))
    for edit in answer.edits:
        yield from paper.noted("what if: ", "quiet", edit)


def _visit(visit: Visit, told: Sequence[Step], paper: Paper) -> Iterator[Line]:
    yield from paper.sides(
        Span("● ", "strong"), Span(visit.ns, "name"), Span(wording.devices(visit)), SPINE
    )
    yield from paper.entry("packet", _header(visit))
    groups = list(_grouped(told))
    marked = _marking(groups) if visit.mark_in != visit.mark_out else -1
    above = ""
    for number, steps in enumerate(groups):
        if number == marked:
            yield from _mark(visit, paper)
        yield from _steps(steps, "" if number == marked else above, paper)
        above = LABELS[type(steps[0])]
    if marked == len(groups):
        yield from _mark(visit, paper)
    if wording.is_bridged(visit):
        yield from paper.entry("bridge", wording.BRIDGED)
    for what, before, after in wording.translations(visit):
        yield from paper.entry("nat", f"{what} {before} ⇒ {after}", "strong")
    yield (Span(SPINE.text.rstrip(), SPINE.style),)


def _header(visit: Visit) -> str:
    ttl = f"ttl {visit.arrived.ttl}"
    if visit.left and visit.left.ttl != visit.arrived.ttl:
        ttl += f" ⇒ {visit.left.ttl}"
    return f"{wording.endpoints(visit.arrived)}  {ttl}"


def _mark(visit: Visit, paper: Paper) -> Iterator[Line]:
    yield from paper.entry("mark", f"{visit.mark_in:#x} ⇒ {visit.mark_out:#x}", "strong")


def _grouped(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Steps that follow each other and are of one kind, those of netfilter of one chain."""
    for _, group in groupby(steps, key=_place):
        yield list(group)


def _place(step: Step) -> tuple[str, ...]:
    if isinstance(step, NetfilterStep):
        return step.family, step.table, step.chain
    return (type(step).__name__,)


SETS_MARK = ("--set-xmark", "--set-mark", "--restore-mark", "--or-mark", "mark set")


def _marking(groups: Sequence[Sequence[Step]]) -> int:
    """Before which group the change of the mark is told: behind the last rule that sets one."""
    for number in range(len(groups), 0, -1):
        for step in groups[number - 1]:
            if isinstance(step, NetfilterStep) and any(word in step.rule for word in SETS_MARK):
                return number
    return 0


LABELS: dict[type[Step], str] = {NetfilterStep: "rules", RoutingStep: "route", FabricStep: "vpc"}


def _steps(steps: Sequence[Step], above: str, paper: Paper) -> Iterator[Line]:
    """Steps of one group; a label that stands right above is not repeated."""
    first = steps[0]
    label = LABELS[type(first)]
    if isinstance(first, NetfilterStep):
        chain = f"{first.table} {first.chain}"
        shown = chain if first.family == "ip" else f"{first.family} {chain}"
        yield from paper.entry("" if label == above else label, shown, "quiet")
    for step in steps:
        match step:
            case NetfilterStep():
                yield from _rule(step, paper)
            case RoutingStep():
                yield from _routing(step, paper)
            case FabricStep():
                yield from _fabric(step, label, paper)
                label = ""


def _rule(step: NetfilterStep, paper: Paper) -> Iterator[Line]:
    """The rule as its tool prints it, then the verdict, without saying a chain's name twice."""
    kind, _, goal = step.verdict.partition(" ")
    verdict = kind if goal and step.rule.endswith(f" {goal}") else step.verdict
    style: Style = "bad" if kind in ("drop", "reject") else ""
    yield from paper.entry("", f"  {step.rule} → {verdict}", style)
    if step.why:
        yield from paper.why(step.why)


def _routing(step: RoutingStep, paper: Paper) -> Iterator[Line]:
    yield from paper.entry("route", step.rule or "no rule led to a route", "strong")
    if step.rule and step.route:
        yield from paper.entry("", wording.route(step))
    if step.why:
        yield from paper.why(step.why)
    if step.next_hop or step.neighbour:
        hop = step.next_hop or "on the link:"
        yield from paper.entry("next", f"{hop} {step.neighbour}".rstrip())


def _fabric(step: FabricStep, label: str, paper: Paper) -> Iterator[Line]:
    told = f"{'✓' if step.passed else '✗'} {wording.check(step)}"
    yield from paper.entry(label, told, "" if step.passed else "bad")
    if step.why and step.text not in step.why:
        yield from paper.why(step.why)


def _verdict(ending: str, good: bool, journey: Journey, paper: Paper) -> Iterator[Line]:
    end = journey.end
    style: Style = "good" if good else "bad"
    yield from paper.noted("✓ " if good else "✗ ", style, ending, style)
    if end.code:
        yield from paper.noted("  ", "", end.code, "strong")
    if end.text:
        yield from paper.noted("  ", "", end.text)
    if end.advice:
        yield from paper.noted("→ ", "name", end.advice)


def _reply(answer: Answer, paper: Paper) -> Iterator[Line]:
    """The way back, a line for each namespace."""
    back = answer.shown.back
    if back is None:
        return
    kind = f", {wording.packet(back.visits[0].arrived)}" if back.visits else ""
    yield ()
    yield (Span(f"the reply{kind}", "name"),)
    yield from summary(back, paper)
    if not back.end.delivered:
        yield from _verdict(f"dropped in {back.end.ns}", good=False, journey=back, paper=paper)
    for sentence in wording.asymmetry(answer):
        yield from paper.noted("! ", "warn", f"Not the same way: {sentence}")
