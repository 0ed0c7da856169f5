"""A packet's stays: sightings in time, one namespace after the other, with what nft trace told."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from testbed.explain.evidence.copies import single
from testbed.explain.evidence.trace_parts import Part, is_made, told_by_namespace
from testbed.explain.evidence.witnesses import (
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
from testbed.explain.routing.local_table import LOOPBACK

ROUTING = "mangle"  # the table whose OUTPUT may change a packet's way


@dataclass(frozen=True)
class Stay:
    """What witnesses say of a packet in one namespace, from coming to leaving.

    made: its header where it was made here.  flooded: its bridge knew no port for the frame, and
    nobody behind the ports that got it took it.
    """

    ns: str
    sightings: tuple[Sighting, ...] = ()
    traversals: tuple[Traversal, ...] = ()
    made: Header | None = None
    flooded: bool = False

    @property
    def came(self) -> tuple[Sighting, ...]:
        """Where it was seen coming in: at a port first, then at its bridge."""
        return tuple(one for one in self.sightings if not one.outgoing)

    @property
    def went(self) -> tuple[Sighting, ...]:
        """Where it was seen going out: at a bridge first, then at its port."""
        return tuple(one for one in self.sightings if one.outgoing)

    @property
    def is_stray(self) -> bool:
        """Whether all that came was a frame for somebody else, which no bridge took on."""
        return not self.traversals and all(
            one.other_host and not one.outgoing for one in self.sightings
        )

    @property
    def is_origin(self) -> bool:
        """Whether the packet was made here."""
        return not self.came

    @property
    def arrived(self) -> Header:
        """The packet as it came, or as it was made."""
        if self.made is None:
            return self.came[0].header
        first = self.at("ip", "output", FIRST)
        return first.header if first else self.made

    @property
    def routed(self) -> Header:
        """The packet as it was when its way was decided: its destination is translated by then."""
        last = self.at("ip", "output" if self.is_origin else "prerouting", LAST)
        return last.header if last else self.arrived

    @property
    def is_expired(self) -> bool:
        """Whether it came to be forwarded with nothing left."""
        came = self.at("ip", "prerouting", LAST)
        spent = came is not None and came.header.ttl <= 1
        return spent and not (self.went or self.reached("forward", FIRST) or self.reached("input"))

    @property
    def dropped(self) -> Traversal | None:
        """The chain that dropped it."""
        return next((one for one in self.traversals if one.dropped), None)

    @property
    def is_stopped_at_once(self) -> bool:
        """Whether it went into its first hook, where conntrack is, and not out of it."""
        hook = "output" if self.is_origin else "prerouting"
        return self.reached(hook, FIRST) and not self.reached(hook, LAST)

    @property
    def is_bridged(self) -> bool:
        """Whether a bridge handed it on."""
        return self.reached("forward", FIRST, "bridge")

    def at(self, family: str, hook: str, place: str) -> Traversal | None:
        """One of our own chains, as the packet was there; None where it did not come."""
        for one in self.traversals:
            if one.own and (one.family, one.hook, one.place) == (family, hook, place):
                return one
        return None

    def reached(self, hook: str, place: str = LAST, family: str = "ip") -> bool:
        """Whether it came to one of our own chains."""
        return self.at(family, hook, place) is not None

    def questions(self) -> list[Question]:
        """What the kernel decided about: once, or once more when OUTPUT changed the packet.

        A frame that is bridged is not routed, though br_netfilter shows it to the IP hooks; unless
        these translated its destination (br_netfilter_hooks.c, br_nf_pre_routing_finish).  What
        comes by lo keeps the route it was sent by (ip_input.c, ip_rcv_finish_core), unless so.
        """
        if self.is_origin:
            again = [after for one, after in pairwise(self.traversals) if reroutes(one, after)]
            return [
                _question(self.ns, self.arrived, 0, ""),
                *(_question(self.ns, after.header, after.mark, "") for after in again),
            ]
        came = self.at("ip", "prerouting", LAST)
        if came is None:
            return []
        is_same = came.header.destination == self.arrived.destination
        if is_same and (self.is_bridged or came.iif == LOOPBACK):
            return []
        return [_question(self.ns, came.header, came.mark, came.iif)]


@dataclass(frozen=True)
class Spine:
    """The stays in their order.  untold: where trace told of more stays than taps saw.

    copied_by: the namespace whose bridge made a second packet of it, which got on.
    """

    stays: tuple[Stay, ...] = ()
    untold: tuple[str, ...] = ()
    copied_by: str = ""


def spine(evidence: Evidence, way: Way) -> Spine:
    """The packet's stays; none when nobody saw it.

    A repetition of the packet (TCP sends a SYN again after a second) is left out, and so are the
    copies that a promiscuous bridge makes, with their answers.
    """
    own = single(evidence, way)
    told = told_by_namespace(own.traversals)
    groups = list(_grouped(_on_the_way([*own.sightings], told)))
    once = _once(groups)
    stays = [*_maker(evidence, way, once, told), *map(_stay, once)]
    placed = tuple(_with_traversals(stays, told))
    repeated = len(once) < len(groups) or own.is_repeated
    untold = () if repeated else tuple(ns for ns, parts in told.items() if parts)
    return Spine(placed, untold, copied_by=own.by)


def reroutes(one: Traversal, after: Traversal) -> bool:
    """Whether a chain in OUTPUT changed what the packet's route depends on.

    Another one is looked up at once: nf_nat_proto.c, nf_nat_ipv4_local_fn; iptable_mangle.c.
    """
    if one.own or after.family == "bridge" or (after.own and after.hook != "output"):
        return False
    was, now = one.header, after.header
    if was.destination != now.destination:
        return True
    return one.table == ROUTING and (was.source, one.mark) != (now.source, after.mark)


def flows(evidence: Evidence) -> dict[str, frozenset[Flow]]:
    """The flows the packet had in each namespace on its way there."""
    seen: list[Sighting | Traversal] = [*evidence.sightings, *evidence.traversals]
    found: dict[str, set[Flow]] = {}
    for one in seen:
        if one.way == "there":
            found.setdefault(one.ns, set()).add(Flow.of(one.header))
    return {ns: frozenset(those) for ns, those in found.items()}


ANSWERS = {"echo-request": "echo-reply", "SYN": "SYN,ACK"}


def silent_answer(last: Stay) -> Stay:
    """The making of an answer that nobody saw: its kernel had no way for it."""
    asked = last.routed
    ports = asked.destination_port, asked.source_port
    if asked.protocol == "icmp":
        ports = asked.source_port, asked.destination_port  # identifier and sequence number
    made = Header(
        protocol=asked.protocol,
        source=asked.destination,
        destination=asked.source,
        source_port=ports[0],
        destination_port=ports[1],
        kind=ANSWERS.get(asked.kind, ""),
    )
    return Stay(last.ns, made=made)


def _on_the_way(seen: list[Sighting], told: Mapping[str, list[Part]]) -> list[Sighting]:
    """Without what a bridge flooded to others; the first of that where nobody got the packet."""
    bridges = {
        ns for ns, parts in told.items() if any(part[0].family == "bridge" for part in parts)
    }
    stray = [one for one in seen if one.other_host and not one.outgoing and one.ns not in bridges]
    way = [one for one in seen if one not in stray]
    if not way:
        return seen[:1]
    last = way[-1]
    later = [one for one in stray if one.time_ns >= last.time_ns]
    return [*way, *later[:1]] if last.outgoing else way


def _grouped(seen: Iterable[Sighting]) -> Iterator[list[Sighting]]:
    """Consecutive sightings in one namespace, up to where it has gone out and comes in again."""
    group: list[Sighting] = []
    for one in seen:
        again = group and group[-1].outgoing and not one.outgoing and not _is_copy(one, group)
        if group and (again or one.ns != group[-1].ns):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _is_copy(one: Sighting, group: list[Sighting]) -> bool:
    """Whether a promiscuous bridge takes what it is handing on: br_pass_frame_up."""
    last = group[-1]
    return (one.dev, one.header) == (last.dev, last.header) and one.dev != group[0].dev


def _once(groups: list[list[Sighting]]) -> list[list[Sighting]]:
    """A packet is made once: a second group that begins with going out is a repetition."""
    for number, group in enumerate(groups):
        if number and group[0].outgoing:
            return groups[:number]
    return groups


def _stay(group: list[Sighting]) -> Stay:
    first = group[0]
    return Stay(first.ns, tuple(group), made=first.header if first.outgoing else None)


def _maker(
    evidence: Evidence, way: Way, groups: list[list[Sighting]], told: dict[str, list[Part]]
) -> Iterator[Stay]:
    """The stay of a packet's making, where no tap saw it go out."""
    if groups and groups[0][0].outgoing:
        return
    if way == "there":
        yield Stay(evidence.start, made=evidence.sent)
        return
    for ns, parts in told.items():
        for part in parts:
            if is_made(part):
                yield Stay(ns, made=part[0].header)
                return


def _with_traversals(stays: Iterable[Stay], told: dict[str, list[Part]]) -> Iterator[Stay]:
    """Parts dealt out to the stays in their namespace, those of a packet's making to its maker."""
    for stay in stays:
        parts = told.get(stay.ns, [])
        part = next((part for part in parts if is_made(part) == stay.is_origin), None)
        if part is not None:
            parts.remove(part)
            stay = replace(stay, traversals=tuple(part))
        yield stay


def _question(ns: str, header: Header, mark: int, iif: str) -> Question:
    return Question(
        ns=ns, destination=header.destination, source=header.source, iif=iif, mark=mark
    )
