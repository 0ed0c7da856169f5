"""What a real packet showed: its round trip, who says so, and where the witnesses disagree."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf

from testbed.explain.evidence import kernel_events
from testbed.explain.evidence.correlate import Knowledge, visit
from testbed.explain.evidence.ending import CLOSED, Case, ending
from testbed.explain.evidence.flooding import one_copy
from testbed.explain.evidence.spine import Spine, Stay
from testbed.explain.evidence.witnesses import Evidence, Way
from testbed.explain.journey import Journey, RoundTrip
from testbed.explain.reasons import twice

TAPS, TRACE, TRACEFS = "packet taps", "nft trace", "tracefs"

Spines = Mapping[Way, Spine]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """The answer.  witnesses: who was heard.  contradictions: a sentence each.

    remarks: what a witness says besides, a sentence each; the answer does not rest on it.
    segment: of data on a connection, the largest packet its sender makes of it, in bytes: by its
    own MTU, and by what it and its peer have learnt of the way.
    """

    round_trip: RoundTrip
    witnesses: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    segment: int = 0


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What else is known.  changed: namespaces whose rule sets somebody changed meanwhile.

    is_served: of what was delivered and not answered, whether anybody listens there.
    """

    watched: frozenset[str]
    changed: tuple[str, ...] = ()
    is_served: bool = True


def observation(
    spines: Spines, evidence: Evidence, known: Knowledge, around: Circumstances
) -> Observation:
    """The stays, understood."""
    there, answer_way = spines["there"].stays, answering(spines)
    answer = spines[answer_way].stays
    closed = not around.is_served or _is_refusal(there, answer)
    gone = _journey("there", there, evidence, known, around, is_closed=closed)
    if gone.end.delivered and (by := spines["there"].copied_by):
        gone = replace(gone, end=twice(gone.end, by))
    trip = RoundTrip(
        there=gone,
        back=_journey(answer_way, answer, evidence, known, around, there) if answer else None,
    )
    told = _told_by_kernel(there, evidence)
    return Observation(
        round_trip=trip,
        witnesses=tuple(_witnesses(evidence)),
        contradictions=(
            *_disagreements(spines, known),
            *kernel_events.contradictions(told, known, trip.there.end),
            *(f"{ns}: its rule set was changed meanwhile" for ns in around.changed),
        ),
        remarks=tuple(kernel_events.remarks(told)),
    )


def answering(spines: Spines) -> Way:
    """How something came back, as an answer or as an error: what was first; TCP tries again."""
    return "error" if _begun(spines["error"]) < _begun(spines["back"]) else "back"


def _begun(spine: Spine) -> float:
    """When a way was first seen, in nanoseconds; one that was made and not seen comes then."""
    stays = spine.stays
    seen = (one.time_ns for stay in stays for one in stay.sightings)
    return next(seen, sys.maxsize) if stays else inf


def _journey(
    way: Way,
    stays: tuple[Stay, ...],
    evidence: Evidence,
    known: Knowledge,
    around: Circumstances,
    there: tuple[Stay, ...] = (),
    *,
    is_closed: bool = False,
) -> Journey:
    stays = one_copy(stays, known.planned)
    case = Case(
        way=way,
        stay=stays[-1],
        known=known,
        start=evidence.start,
        sent=evidence.sent,
        watched=around.watched,
        refused=evidence.refused if way == "there" else "",
        is_closed=is_closed,
        earlier=stays[:-1],
        there=tuple(stay.ns for stay in there),
    )
    return Journey(visits=tuple(visit(stay, known) for stay in stays), end=ending(case))


def _is_refusal(there: tuple[Stay, ...], answer: tuple[Stay, ...]) -> bool:
    """Whether the kernel that the packet was delivered to answered that nobody listens."""
    return bool(answer and answer[0].ns == there[-1].ns and answer[0].arrived.kind in CLOSED)


def _told_by_kernel(
    there: tuple[Stay, ...], evidence: Evidence
) -> tuple[kernel_events.Second, ...]:
    return kernel_events.dealt(there, evidence.events) if evidence.events else ()


def _witnesses(evidence: Evidence) -> Iterator[str]:
    if evidence.sightings:
        yield TAPS
    if evidence.traversals:
        yield TRACE
    if evidence.events:
        yield TRACEFS


def _disagreements(spines: Spines, known: Knowledge) -> Iterator[str]:
    """Taps against nft trace, and against the kernels' answers."""
    for spine in spines.values():
        for ns in spine.untold:
            yield f"{ns}: nft trace tells of more than the packet taps saw"
        for stay in spine.stays:
            yield from _other_device(stay, known)


def _other_device(stay: Stay, known: Knowledge) -> Iterator[str]:
    """The device the packet was sent by, against the one of the kernel's answer."""
    asked = [] if stay.is_bridged else stay.questions()
    route = known.routes[asked[-1]].route if asked else None
    if route and stay.went and stay.went[0].dev != route.dev and route.kind == "unicast":
        went = stay.went[0].dev
        yield f"{stay.ns} sent it by {went}, and answers now that it goes by {route.dev}"
