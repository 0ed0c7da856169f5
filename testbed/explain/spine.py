"""A packet's stays: sightings in time, one namespace after the other, with what nft trace told.

Trace messages have no time.  But a packet enters a namespace only by PREROUTING, or is made there
and begins with OUTPUT; so what trace told of a namespace falls into parts, and these come in the
order of the packet's stays there.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from testbed.explain.evidence import (
    FIRST,
    LAST,
    Evidence,
    Flow,
    Question,
    Sighting,
    Traversal,
    Way,
)
from testbed.explain.journey import Header


@dataclass(frozen=True)
class Stay:
    """What witnesses say of a packet in one namespace, from coming to leaving."""

    ns: str
    sightings: tuple[Sighting, ...] = ()
    traversals: tuple[Traversal, ...] = ()

    @property
    def came(self) -> tuple[Sighting, ...]:
        """Where it was seen coming in: at a port first, then at its bridge."""
        return tuple(one for one in self.sightings if not one.outgoing)

    @property
    def went(self) -> tuple[Sighting, ...]:
        """Where it was seen going out: at a bridge first, then at its port."""
        return tuple(one for one in self.sightings if one.outgoing)

    @property
    def is_origin(self) -> bool:
        """Whether the packet was made here."""
        return not self.came

    def at(self, family: str, hook: str, place: str) -> Traversal | None:
        """One of our own chains, as the packet was there; None where it did not come."""
        for one in self.traversals:
            if one.own and (one.family, one.hook, one.place) == (family, hook, place):
                return one
        return None

    def reached(self, hook: str, place: str = LAST, family: str = "ip") -> bool:
        """Whether it came to one of our own chains."""
        return self.at(family, hook, place) is not None

    @property
    def dropped(self) -> Traversal | None:
        """The chain that dropped it."""
        return next((one for one in self.traversals if one.dropped), None)


def stays(evidence: Evidence, way: Way) -> tuple[Stay, ...]:
    """The packet's stays in their order; none when nobody saw it.

    A repetition of the packet (TCP sends a SYN again after a second) is left out.
    """
    seen = sorted(
        (one for one in evidence.sightings if one.way == way), key=lambda one: one.time_ns
    )
    groups = list(_until_repeated(_grouped(seen)))
    told = {
        ns: _parts(those)
        for ns, those in _by_namespace(one for one in evidence.traversals if one.way == way)
    }
    origins = [ns for ns, parts in told.items() if any(_is_origin(part) for part in parts)]
    if not groups or groups[0][0].outgoing is False:
        ns = evidence.start if way == "there" else next(iter(origins), "")
        made = [Stay(ns)] if ns else []
    else:
        made = []
    ordered = [*made, *(Stay(group[0].ns, tuple(group)) for group in groups)]
    return tuple(_with_traversals(ordered, told))


def _grouped(seen: Iterable[Sighting]) -> Iterator[list[Sighting]]:
    """Consecutive sightings in one namespace, up to where it has gone out and comes in again."""
    group: list[Sighting] = []
    for one in seen:
        again = group and group[-1].outgoing and not one.outgoing
        if group and (again or one.ns != group[-1].ns):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _until_repeated(groups: Iterable[list[Sighting]]) -> Iterator[list[Sighting]]:
    """A packet is made once: a second group that begins with going out is a repetition."""
    for number, group in enumerate(groups):
        if number and group[0].outgoing:
            return
        yield group


def _by_namespace(told: Iterable[Traversal]) -> Iterator[tuple[str, list[Traversal]]]:
    for ns, those in groupby(sorted(told, key=lambda one: one.ns), key=lambda one: one.ns):
        yield ns, list(those)


def _parts(told: Iterable[Traversal]) -> list[list[Traversal]]:
    """What was told of one namespace, a part for each stay."""
    parts: list[list[Traversal]] = []
    for one in told:
        if not parts or (one.own and one.place == FIRST and _begins(one, parts[-1])):
            parts.append([])
        parts[-1].append(one)
    return parts


def _begins(one: Traversal, part: list[Traversal]) -> bool:
    """Whether a packet that is here has just come; a bridge hands it on to the IP hooks."""
    if one.family == "bridge":
        return one.hook == "prerouting"
    if one.hook == "output":
        return True
    handed_on = part[0].family == "bridge" and all(other.family == "bridge" for other in part)
    return one.hook == "prerouting" and not handed_on


def _is_origin(part: list[Traversal]) -> bool:
    return part[0].family != "bridge" and part[0].hook == "output"


def _with_traversals(
    ordered: Iterable[Stay], told: dict[str, list[list[Traversal]]]
) -> Iterator[Stay]:
    """Parts dealt out to the stays in their namespace, those of a packet's making to its first."""
    for stay in ordered:
        parts = told.get(stay.ns, [])
        fitting = (part for part in parts if _is_origin(part) == stay.is_origin)
        part = next(fitting, None)
        if part is not None:
            parts.remove(part)
            stay = replace(stay, traversals=tuple(part))
        yield stay


def flows(evidence: Evidence) -> dict[str, frozenset[Flow]]:
    """The flows the packet had in each namespace on its way there."""
    found: dict[str, set[Flow]] = {}
    for one in (*evidence.sightings, *evidence.traversals):
        if one.way == "there":
            found.setdefault(one.ns, set()).add(Flow.of(one.header))
    return {ns: frozenset(seen) for ns, seen in found.items()}


def questions(stay: Stay, sent: Header) -> list[Question]:
    """What the kernel decided about in this stay: once, or once more after OUTPUT changed it."""
    if stay.is_origin:
        first, last = stay.at("ip", "output", FIRST), stay.at("ip", "output", LAST)
        asked = [_asked(stay, first.header if first else sent, 0, "")]
        if first and last and _rerouted(first, last):
            asked.append(_asked(stay, last.header, last.mark, ""))
        return asked
    routed = stay.at("ip", "prerouting", LAST)
    if routed is None:
        return []
    return [_asked(stay, routed.header, routed.mark, stay.came[-1].dev)]


def _asked(stay: Stay, header: Header, mark: int, iif: str) -> Question:
    return Question(
        ns=stay.ns, destination=header.destination, source=header.source, iif=iif, mark=mark
    )


def _rerouted(first: Traversal, last: Traversal) -> bool:
    """net/ipv4/netfilter.c: ip_route_me_harder, when OUTPUT changed what routes depend on."""
    before = (first.header.source, first.header.destination, first.mark)
    return before != (last.header.source, last.header.destination, last.mark)
