"""The second witness, tracefs: does it agree with the first ones?  The answer is theirs alone.

A packet keeps its buffer's address over veths and through namespaces; devices have the same names
everywhere.  So events are told apart by that address and dealt out along the sightings.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from testbed.explain.evidence.correlate import Knowledge
from testbed.explain.evidence.spine import Stay
from testbed.explain.evidence.witnesses import KernelEvent, Question, Sighting
from testbed.explain.journey import End
from testbed.net.facts import LOCAL, MAIN
from testbed.net.show import table_name

# include/net/dropreason-core.h: with which codes each reason agrees.  Others say too little.
AGREEING: Mapping[str, tuple[str, ...]] = {
    "IP_INNOROUTES": ("NO_ROUTE_TO_DESTINATION", "X_ROUTE_REFUSES", "X_FORWARDING_OFF"),
    "IP_INVALID_SOURCE": ("X_MARTIAN_SOURCE",),
    "IP_LOCALNET": ("X_MARTIAN_DESTINATION", "X_MARTIAN_SOURCE"),
    "IP_LOCAL_SOURCE": ("X_MARTIAN_SOURCE", "X_NLB_HAIRPIN"),
    "IP_OUTNOROUTES": ("NO_ROUTE_TO_DESTINATION",),
    "IP_RPFILTER": ("X_RP_FILTER",),
    "NEIGH_DEAD": ("X_NO_NEIGHBOUR",),
    "NEIGH_FAILED": ("X_NO_NEIGHBOUR",),
    "NEIGH_QUEUEFULL": ("X_NO_NEIGHBOUR",),
    "NO_SOCKET": ("X_CLOSED_PORT",),
    "PKT_TOO_BIG": ("X_MTU_EXCEEDED",),
    "OTHERHOST": ("X_WRONG_MAC", "X_NO_PORT"),
}
NETFILTER = "NETFILTER_DROP"


@dataclass(frozen=True)
class Second:
    """What tracefs says of a stay: the tables looked up, and the packet's end."""

    stay: Stay
    events: tuple[KernelEvent, ...]

    @property
    def freed(self) -> KernelEvent | None:
        """The packet's end."""
        return next((one for one in self.events if one.kind == "freed"), None)


def dealt(stays: Sequence[Stay], events: Sequence[KernelEvent]) -> tuple[Second, ...]:
    """The events of each stay, as far as they can be followed."""
    expected = [(stay, sighting) for stay in stays for sighting in stay.sightings]
    found: dict[int, list[KernelEvent]] = {id(stay): [] for stay in stays}
    current, buffer, seen, looks = stays[0], "", bool(expected), True
    for event in events:
        if event.kind in ("sent", "received"):
            if expected and _is_seen(event, expected[0][1]) and buffer in ("", event.packet):
                current, _ = expected.pop(0)
                buffer = event.packet
            elif buffer and event.packet == buffer:
                break  # it is used for another packet by now
            elif not expected:
                looks = False  # from now on it is the answer that is on its way
        elif (looks and event.kind == "lookup") or event.packet == buffer or not seen:
            found[id(current)].append(event)
    return tuple(Second(stay, tuple(found[id(stay)])) for stay in stays)


def _is_seen(event: KernelEvent, sighting: Sighting) -> bool:
    return event.dev == sighting.dev and (event.kind == "sent") == sighting.outgoing


def contradictions(seconds: Iterable[Second], known: Knowledge, end: End) -> Iterator[str]:
    """Where tracefs says something else."""
    for second in seconds:
        for question in second.stay.questions():
            yield from _other_table(question, second, known)
        freed = second.freed
        if freed and not _agrees(freed, second.stay, end):
            said = f"{freed.reason} in {freed.function}"
            yield f"{second.stay.ns}: tracefs says {said}, the other witnesses: {end.text}"


def remarks(seconds: Iterable[Second]) -> Iterator[str]:
    """What tracefs says of the packet's end."""
    for second in seconds:
        freed = second.freed
        if freed:
            yield f"{second.stay.ns}: {freed.function} dropped it: {freed.reason or 'no reason'}"


def _other_table(question: Question, second: Second, known: Knowledge) -> Iterator[str]:
    """The tables in which routes were found, and none is the one of the kernel's answer."""
    route = known.routes[question].route
    asked = question.source, question.destination
    hits = {
        _merged(event.table)
        for event in second.events
        if event.hit and (event.source, event.destination) == asked
    }
    if route and hits and _merged(route.table) not in hits:
        looked_up = ", ".join(table_name(table) for table in sorted(hits))
        yield (
            f"{question.ns}: the kernel found the route to {question.destination} in table"
            f" {looked_up}, and answers now that it is in {table_name(route.table)}"
        )


def _merged(table: int) -> int:
    """Without rules of its own a namespace has table local inside main."""
    return MAIN if table == LOCAL else table


def _agrees(freed: KernelEvent, stay: Stay, end: End) -> bool:
    if freed.reason == NETFILTER:
        return stay.dropped is not None or end.code == "X_CONNTRACK_FULL"
    codes = AGREEING.get(freed.reason)
    return codes is None or end.code in codes or _is_usual(freed, stay)


def _is_usual(freed: KernelEvent, stay: Stay) -> bool:
    """Echo replies, and TCP's last words, end so when all went well: no socket keeps them."""
    return freed.reason == "NO_SOCKET" and stay.reached("input")
