"""Where a predicted and an observed round trip part, in one sentence.

Ports that a kernel chooses at random (an ephemeral port, a translated source port) and TTLs, which
follow from the way, are not compared.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

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


# One comparable thing of a visit, in parts; None where a witness could not see it.
Trait = tuple[str, tuple[str, ...] | None]


def difference(predicted: Iterable[RoundTrip], observed: RoundTrip) -> Difference | None:
    """The first difference from the branch that fits best; None when it agrees."""
    return first_difference(closest(predicted, observed), observed)


def closest(predicted: Iterable[RoundTrip], observed: RoundTrip) -> RoundTrip:
    """The branch that agrees longest with the observation, of equal ones the likeliest."""
    return max(predicted, key=lambda branch: (_agreement(branch, observed), probability(branch)))


def probability(branch: RoundTrip) -> float:
    """How often this branch is taken, both ways together."""
    return branch.there.probability * (branch.back.probability if branch.back else 1.0)


def first_difference(predicted: RoundTrip, observed: RoundTrip) -> Difference | None:
    """The first difference of two round trips; the way there comes before the way back."""
    there = next(_differences("there", predicted.there, observed.there), None)
    if there is not None or (predicted.back is None and observed.back is None):
        return there
    if predicted.back is None or observed.back is None:
        return Difference(
            way="back",
            visit=0,
            ns=observed.there.end.ns,
            aspect="reply",
            predicted="a reply" if predicted.back else "no reply",
            observed="a reply" if observed.back else "no reply",
        )
    return next(_differences("back", predicted.back, observed.back), None)


def _agreement(branch: RoundTrip, observed: RoundTrip) -> tuple[int, int, int]:
    """How far two round trips agree: whole ways, visits, and the aspects of the last visit."""
    found = first_difference(branch, observed)
    if found is None:
        return (2, 0, 0)
    return (int(found.way == "back"), found.visit, ASPECTS.index(found.aspect))


def _differences(way: Way, predicted: Journey, observed: Journey) -> Iterator[Difference]:
    pairs = zip(predicted.visits, observed.visits, strict=False)
    for number, (expected, seen) in enumerate(pairs):
        traits = zip(_traits(way, expected), _traits(way, seen), strict=True)
        for (aspect, wanted), (_, found) in traits:
            if wanted is not None and found is not None and wanted != found:
                one, other = _first_unequal(wanted, found)
                yield Difference(
                    way=way,
                    visit=number,
                    ns=expected.ns,
                    aspect=aspect,
                    predicted=one,
                    observed=other,
                )
    if _ending(predicted.end) != _ending(observed.end):
        yield Difference(
            way=way,
            visit=min(len(predicted.visits), len(observed.visits)),
            ns=observed.end.ns,
            aspect="end",
            predicted=_ending(predicted.end),
            observed=_ending(observed.end),
        )


def _first_unequal(wanted: tuple[str, ...], found: tuple[str, ...]) -> tuple[str, str]:
    pairs = zip_longest(wanted, found, fillvalue="nothing")
    return next((one or "nothing", other or "nothing") for one, other in pairs if one != other)


def _ending(end: End) -> str:
    return f"{'delivered to' if end.delivered else 'dropped in'} {end.ns} {end.code}".rstrip()


# In the order in which a kernel gets to them: the first that differs is the others' cause.
ASPECTS = (
    "namespace",
    "came in by",
    "arrived as",
    "netfilter",
    "mark",
    "rule",
    "route",
    "fate",
    "went out by",
    "left as",
    "reply",
    "end",
)


def _traits(way: Way, visit: Visit) -> list[Trait]:
    routing = [step for step in visit.steps if isinstance(step, RoutingStep)]
    netfilter = [step for step in visit.steps if isinstance(step, NetfilterStep)]
    values = (
        (visit.ns,),
        (visit.dev_in,),
        (_addresses(way, visit.arrived),),
        tuple(f"{step.table} {step.chain} {step.rule}" for step in netfilter) or None,
        (f"{visit.mark_out:#x}",) if netfilter else None,
        tuple(step.rule for step in routing) or None,
        tuple(f"table {step.table}: {step.route}" for step in routing) or None,
        ("it went on" if visit.left else "it ended there",),
        (visit.dev_out,),
        (_addresses(way, visit.left),) if visit.left else None,
    )
    return list(zip(ASPECTS, values, strict=False))


def _addresses(way: Way, header: Header) -> str:
    """Source and destination with the port of the service that is called, not the caller's."""
    source, destination = str(header.source), str(header.destination)
    if header.protocol != "icmp" and way == "there":
        destination += f":{header.destination_port}"
    if header.protocol != "icmp" and way == "back":
        source += f":{header.source_port}"
    return f"{source} → {destination}"
