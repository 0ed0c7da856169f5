"""Bridges flood what they know no port for: of all copies the one that got on is the packet."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from testbed.explain.evidence.planned import Place, Planned
from testbed.explain.evidence.spine import Stay
from testbed.explain.evidence.witnesses import FIRST, Traversal

# Of family bridge: each copy passes them, net/bridge/br_forward.c
PORT_HOOKS = ("forward", "postrouting")


def one_copy(stays: tuple[Stay, ...], planned: Planned) -> tuple[Stay, ...]:
    """The stays of the copy that got on; where none did, up to the bridge that flooded it."""
    *way, last = stays
    if last.is_stray and way and _is_from_port(way[-1], planned):
        stays = (*way[:-1], replace(way[-1], flooded=True))
    onwards = [*(stay.ns for stay in stays[1:]), ""]
    return tuple(
        _copy(stay, planned.place(stay.ns), to) for stay, to in zip(stays, onwards, strict=True)
    )


def _is_from_port(stay: Stay, planned: Planned) -> bool:
    return bool(stay.went) and planned.place(stay.ns).is_port(stay.went[-1].dev)


def _copy(stay: Stay, place: Place, onwards: str) -> Stay:
    """A stay without what is told of copies that went out by other ports."""
    ports = [one.dev for one in stay.went if place.is_port(one.dev)]
    if not ports:
        return stay
    peers = ((dev, place.peer(dev)) for dev in ports)
    taken = next((dev for dev, peer in peers if peer and peer.peer_ns == onwards), ports[-1])
    return replace(
        stay,
        sightings=tuple(
            one
            for one in stay.sightings
            if not one.outgoing or one.dev == taken or one.dev not in ports
        ),
        traversals=tuple(_of_copy(stay.traversals, taken)),
    )


def _of_copy(told: Iterable[Traversal], port: str) -> Iterator[Traversal]:
    copy = port
    for one in told:
        at_port = one.own and one.family == "bridge" and one.place == FIRST
        if at_port and one.hook in PORT_HOOKS:
            copy = one.oif
        if copy == port:
            yield one
