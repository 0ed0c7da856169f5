"""Where a predicted and an observed round trip part, in one sentence.

Ports that a kernel chooses at random (an ephemeral port, a translated source port) and TTLs, which
follow from the way, are not compared.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile, zip_longest
from typing import Literal, NamedTuple

from testbed.explain.journey import (
    End,
    Header,
    Journey,
    NetfilterStep,
    RoundTrip,
    RoutingStep,
    Visit,
)

Way = Literal["there", "back"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The first thing that is not the same.  visit: its place in the journey, from 0."""

    way: Way
    visit: int
    ns: str
    aspect: str  # namespace, device, addresses, netfilter, mark, rule, route, end …
    predicted: str
    observed: str

    def __str__(self) -> str:
        return self.sentence("predicted", "observed")

    def sentence(self, one: str, other: str) -> str:
        """`node-1, route: predicted table 2: …, observed table main: …`, with words of yours."""
        reply = "the reply in " if self.way == "back" else ""
        where = f"{reply}{self.ns}, {self.aspect}"
        return f"{where}: {one} {self.predicted}, {other} {self.observed}"


Aspect = tuple[str, str]  # its name, and what it is in a visit


class Trait(NamedTuple):
    """An aspect of one of a way's visits."""

    aspect: str
    text: str
    visit: int
    ns: str


Pair = tuple[Trait, Trait]  # predicted, observed

NOTHING = "nothing"


def difference(predicted: Iterable[RoundTrip], observed: RoundTrip) -> Difference | None:
    """The first difference from the branch that fits best; None when it agrees."""
    return first_difference(closest(predicted, observed), observed)


def closest(predicted: Iterable[RoundTrip], observed: RoundTrip) -> RoundTrip:
    """The branch that agrees longest with the observation, of equal ones the likeliest."""
    return max(predicted, key=lambda branch: (_agreement(branch, observed), probability(branch)))


def _agreement(branch: RoundTrip, observed: RoundTrip) -> tuple[bool, bool, int]:
    """How far a branch agrees: in all, in the whole way there, in how many traits of a way."""
    found = first_difference(branch, observed)
    if found is None:
        return True, True, 0
    is_there = found.way == "there" or branch.back is None or observed.back is None
    ways = (branch.there, observed.there) if is_there else (branch.back, observed.back)
    return False, found.way == "back", sum(1 for _ in _equal(found.way, *ways))


def probability(branch: RoundTrip) -> float:
    """How often this branch is taken, both ways together."""
    return branch.there.probability * (branch.back.probability if branch.back else 1.0)


def first_difference(predicted: RoundTrip, observed: RoundTrip) -> Difference | None:
    """The first difference of two round trips; the way there comes before the way back."""
    there = next(_differences("there", predicted.there, observed.there), None)
    if there is not None:
        return there
    if predicted.back is None or observed.back is None:
        return _missing_reply(predicted, observed)
    return next(_differences("back", predicted.back, observed.back), None)


def _missing_reply(predicted: RoundTrip, observed: RoundTrip) -> Difference | None:
    """That one has a reply and the other has none, where that can be told.

    A server need not answer a datagram that it does not understand.  Of a packet that was dropped
    the ICMP error may come later than anybody waits: Linux asks for a neighbour for 3 seconds.
    """
    end = observed.there.end
    protocol = next((visit.arrived.protocol for visit in observed.there.visits), "")
    silent = observed.back is None and (protocol == "udp" or not end.delivered)
    if silent or predicted.back is observed.back:
        return None
    return Difference(
        way="back",
        visit=0,
        ns=end.ns,
        aspect="reply",
        predicted="a reply" if predicted.back else "no reply",
        observed="a reply" if observed.back else "no reply",
    )


def _equal(way: Way, predicted: Journey | None, observed: Journey | None) -> Iterator[Pair]:
    """What is the same until something is not."""
    assert predicted is not None
    assert observed is not None
    return takewhile(lambda pair: pair[0] == pair[1], _pairs(way, predicted, observed))


def _differences(way: Way, predicted: Journey, observed: Journey) -> Iterator[Difference]:
    for one, other in _pairs(way, predicted, observed):
        if one != other:
            yield Difference(
                way=way,
                visit=one.visit,
                ns=one.ns,
                aspect=one.aspect,
                predicted=one.text,
                observed=other.text,
            )


def _pairs(way: Way, predicted: Journey, observed: Journey) -> Iterator[Pair]:
    """Every trait of two ways side by side, in the order in which kernels get to them."""
    number = -1
    for number, (one, other) in enumerate(zip(predicted.visits, observed.visits, strict=False)):
        ends = _fate(one, predicted.end), _fate(other, observed.end)
        for left, right in _visits(way, one, other, ends):
            yield (
                Trait(left[0], left[1], number, one.ns),
                Trait(right[0], right[1], number, one.ns),
            )
    ns = observed.end.ns
    yield (
        Trait("end", _ending(predicted.end), number + 1, ns),
        Trait("end", _ending(observed.end), number + 1, ns),
    )


def _visits(
    way: Way, one: Visit, other: Visit, fates: tuple[str, str]
) -> Iterator[tuple[Aspect, Aspect]]:
    yield from zip(_arrival(way, one), _arrival(way, other), strict=True)
    traced = _is_traced(one) and _is_traced(other)
    for left, right in zip_longest(_steps(one, traced), _steps(other, traced)):
        if (left is None and one.left is None) or (right is None and other.left is None):
            break  # it ended before: that is told next
        yield _step(left, right), _step(right, left)
    yield ("fate", fates[0]), ("fate", fates[1])
    if traced:
        yield ("mark", f"{one.mark_out:#x}"), ("mark", f"{other.mark_out:#x}")
    yield from zip(_departure(way, one), _departure(way, other), strict=False)


def _fate(visit: Visit, end: End) -> str:
    if visit.left is not None:
        return "it went on"
    return "it arrived" if end.delivered else f"it ended there ({end.code})"


def _step(one: Aspect | None, other: Aspect | None) -> Aspect:
    """A step to be told beside another; a rule of netfilter stands beside nothing but its like."""
    aspects = {step[0] for step in (one, other) if step}
    aspect = "netfilter" if "netfilter" in aspects else min(aspects)
    return one if one and one[0] == aspect else (aspect, NOTHING)


def _ending(end: End) -> str:
    return f"{'delivered to' if end.delivered else 'dropped in'} {end.ns} {end.code}".rstrip()


def _arrival(way: Way, visit: Visit) -> list[Aspect]:
    return [
        ("namespace", visit.ns),
        ("came in by", visit.dev_in or NOTHING),
        ("arrived as", _addresses(way, visit.arrived)),
    ]


def _is_traced(visit: Visit) -> bool:
    """Whether its witness could see rules of netfilter: there are some, or there was a trace."""
    return any(isinstance(step, NetfilterStep) for step in visit.steps)


def _steps(visit: Visit, traced: bool) -> Iterator[Aspect]:
    for step in visit.steps:
        match step:
            case NetfilterStep() if traced:
                yield "netfilter", f"{step.table} {step.chain} {step.rule}"
            case RoutingStep():
                yield "rule", step.rule or "none led to a route"
                yield "route", f"table {step.table}: {step.route}"


def _departure(way: Way, visit: Visit) -> list[Aspect]:
    if visit.left is None:
        return []
    return [("went out by", visit.dev_out), ("left as", _addresses(way, visit.left))]


def _addresses(way: Way, header: Header) -> str:
    """Source and destination with the port of the service that is called, not the caller's."""
    source, destination = str(header.source), str(header.destination)
    if header.protocol != "icmp" and way == "there":
        destination += f":{header.destination_port}"
    if header.protocol != "icmp" and way == "back":
        source += f":{header.source_port}"
    return f"{source} → {destination}"
