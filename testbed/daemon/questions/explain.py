"""explain, reasons, reachability: packets predicted, and one that is really followed."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

from testbed.allocations import allocate
from testbed.daemon.changes.applied import sent
from testbed.daemon.names import required
from testbed.daemon.process.protocol import Json
from testbed.daemon.questions.asking import asked, from_port, named
from testbed.daemon.questions.pairs import all_pairs
from testbed.daemon.running import RunningLab
from testbed.daemon.shown.places import places
from testbed.explain import compare
from testbed.explain.answer import Answer, Place
from testbed.explain.evidence.observation import Observation
from testbed.explain.evidence.reasoned import with_reasons
from testbed.explain.journey import RoundTrip
from testbed.explain.netfilter.remembered import Remembered, judged
from testbed.explain.reachability import failed, question, told
from testbed.explain.render.document import document
from testbed.explain.render.drawing import svg
from testbed.explain.render.page import html
from testbed.explain.render.text import text
from testbed.explain.walk.facts.sockets import Sockets
from testbed.explain.walk.predict import failure, predict
from testbed.explain.walk.remembered import predict_remembered
from testbed.explain.walk.world import World
from testbed.net.drift.diff import implied
from testbed.net.facts import State
from testbed.net.served.endpoints import Probed
from testbed.plan import endpoints, plan, served
from testbed.probes.asked.listening import listening
from testbed.probes.asked.present import Present
from testbed.probes.asked.remembered import remembered
from testbed.probes.observe.observer import Observer

Progress = Callable[[str], None]
Memory = tuple[Remembered, ...] | None  # None where the packet shall be of a new connection

DELIVERED, DROPPED, CONTRADICTED = 0, 1, 3  # exit codes
UNWATCHED = "X_UNWATCHED"  # the packet went where nobody looked


def explain(
    running: RunningLab,
    progress: Progress,
    *,
    source: str,
    destination: str,
    port: int,
    protocol: str | None,
    size: int,
    edits: list[str],
    **settings: Any,
) -> Json:
    """One packet's life, in the format that is asked for, and the exit code."""
    lab = running.described()
    source = named(running, source)
    start = required(running, source)
    header = asked(running, source, destination, protocol, port, size)
    memory: Memory = None
    if settings["source_port"]:
        header = from_port(header, settings["source_port"])
        memory = remembered(running.store, header, running.state)
    answer = Answer(
        lab=lab.name,
        source=source,
        destination=destination,
        header=header,
        predicted=(),
        edits=tuple(edits),
        places=running.derived(_places),
    )
    if edits or settings["predict"]:
        answer = _predicted(running, answer, start, memory)
    else:
        following = settings["timeout"], settings["tracefs"]
        answer = _followed(running, answer, start, memory, *following)
    return {
        "exit_code": _exit_code(answer),
        "document": _rendered(answer, settings["output"], settings["width"], settings["verbose"]),
    }


def _places(running: RunningLab) -> tuple[Place, ...]:
    return places(running.described(), running.allocations)


def _sockets(running: RunningLab) -> Sockets:
    return Sockets(served(running.described(), running.allocations))


def _rendered(answer: Answer, output: str, width: int, full: bool) -> Json:
    match output:
        case "json" | "yaml":
            return document(answer)
        case "html":
            return html(answer, full=full)
        case "svg":
            return svg(answer)
        case _:
            return text(answer, width, colour=True, full=full)


def _exit_code(answer: Answer) -> int:
    if answer.contradictions:
        return CONTRADICTED
    return DELIVERED if answer.delivered else DROPPED


def _predicted(running: RunningLab, answer: Answer, start: str, memory: Memory) -> Answer:
    """What would become of it in the kernels as they are now, with the edits; nothing is sent."""
    known = served(running.described(), running.allocations)
    told = (one for one in known if one.metadata or one.held)  # which no kernel tells
    listeners = Sockets([*listening(running.store, running.store.names()), *told])
    world = _edited(running, answer.edits) if answer.edits else _present(running)
    header, known_before = answer.header, memory or ()
    branches, _ = predict_remembered(world, start, header, listeners, known_before)
    planned, _ = predict_remembered(running.world, start, header, listeners, known_before)
    return replace(
        answer,
        predicted=branches,
        drift=None if answer.edits else compare.difference(planned, branches[0]),
    )


def _present(running: RunningLab) -> World:
    return Present(running.store, running.state)


def _edited(running: RunningLab, edits: Iterable[str]) -> World:
    """All kernels with edits; without what they have learnt, which edits might have changed."""
    from testbed.explain.what_if.edits import edited

    found = _kernels(running)
    for edit in edits:
        found = edited(found, edit)
    return World(found)


def _kernels(running: RunningLab) -> State:
    """What all kernels have now, with the plan's reasons."""
    wanted = running.state
    return with_reasons(running.observe(wanted).state, wanted | implied(wanted))


def _followed(
    running: RunningLab,
    answer: Answer,
    start: str,
    memory: Memory,
    timeout_s: float,
    tracefs: bool,
) -> Answer:
    """What really became of it, and what the plan predicts.

    Where it goes another way than any that was predicted, another one is sent and all are watched.
    """
    listeners = running.derived(_sockets)
    header, known_before = answer.header, memory or ()
    branches, new = predict_remembered(running.world, start, header, listeners, known_before)
    sent = nullcontext(running.observer) if tracefs else Observer(running.store, tracefs=False)
    with sent as observer:
        observe = partial(observer.observe, timeout_s=timeout_s, keep_port=memory is not None)
        found = observe(running.state, _visited(branches), start, header)
        if _is_lost(found):
            found = observe(running.state, running.store.names(), start, header)
    if 0 < found.segment < header.size:  # some of this kernels learn, and no fact tells
        learnt = replace(header, size=found.segment)
        branches = predict(running.world, start, learnt, listeners)
    observed = judged(found.round_trip, new, known_before)
    return replace(
        answer,
        predicted=branches,
        observed=observed,
        difference=compare.difference(branches, observed),
        witnesses=found.witnesses,
        contradictions=found.contradictions,
        remarks=found.remarks,
    )


def _visited(branches: Iterable[RoundTrip]) -> set[str]:
    return {
        visit.ns
        for branch in branches
        for journey in (branch.there, branch.back)
        if journey is not None
        for visit in journey.visits
    }


def _is_lost(found: Observation) -> bool:
    trip = found.round_trip
    return UNWATCHED in [trip.there.end.code, trip.back.end.code if trip.back else ""]


def reasons(
    running: RunningLab,
    progress: Progress,
    *,
    pairs: list[tuple[str, str]],
    protocol: Probed,
) -> Json:
    """Why each of these pairs of pods fails: predicted from what the kernels have now."""
    world = _present(running)
    listeners = listening(running.store, running.store.names())
    pods = {end.name: end for end in endpoints(running.described(), running.allocations)}
    found = []
    for source, destination in pairs:
        one, other = pods[source], pods[destination]
        header = question(protocol, one.address, other.address, other.port(protocol) or 0)
        found.append(failed(failure(world, one.netns, header, listeners)))
    return [{"code": one.code, "text": one.text, "advice": one.advice} for one in found]


def reachability(running: RunningLab, progress: Progress, *, lab: Json) -> Json:
    """For which pairs of pods `up` of this lab changes what the kernels do now."""
    wanted = sent(lab)
    allocations = allocate(wanted, running.allocations)
    before = all_pairs(
        World(_kernels(running)), endpoints(running.described(), running.allocations)
    )
    after = all_pairs(World.planned(plan(wanted, allocations)), endpoints(wanted, allocations))
    return told(before, after)
