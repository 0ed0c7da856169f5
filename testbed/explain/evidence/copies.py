"""A promiscuous bridge takes a copy of what it hands on: which of what was heard is the copy's.

net/bridge/br_input.c, br_handle_frame_finish: the frame goes out by its port, and is passed up as
well, through INPUT of family bridge.  What was addressed to the bridge is routed then, and goes on
with one hop less.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from testbed.explain.evidence.witnesses import FIRST, Evidence, Flow, Sighting, Traversal, Way

Spot = tuple[object, ...]


@dataclass(frozen=True)
class Single:
    """One way of a packet without its copies, sightings in time.

    by: the namespace that made a copy which got to another one; empty for none.
    is_repeated: trace told of answers to copies too.
    """

    sightings: tuple[Sighting, ...]
    traversals: tuple[Traversal, ...]
    by: str = ""
    is_repeated: bool = False


def single(evidence: Evidence, way: Way) -> Single:
    """The way of the packet itself; of an answer that came twice, the first one's."""
    on_way = (one for one in evidence.sightings if one.way == way)
    seen = sorted(on_way, key=lambda one: one.time_ns)
    told = [one for one in evidence.traversals if one.way == way]
    again = way != "there" and bool(single(evidence, "there").by)
    if again:
        seen = list({(_spot(one), one.header.ttl): one for one in reversed(seen)}.values())[::-1]
    own, copies = _parted(told)
    if not copies:
        return Single(tuple(seen), tuple(told), is_repeated=again)
    bridges = {one.ns: _bridge(one.ns, told) for one in copies}
    heard: list[Sighting | Traversal] = [*seen, *own]
    spots = {(_spot(one), one.header.ttl) for one in heard}
    behind = [one for one in heard if (_spot(one), one.header.ttl + 1) in spots]
    elsewhere = any(one.ns not in bridges for one in behind)
    return Single(
        tuple(one for one in seen if one not in behind and not _is_passed_up(one, bridges, seen)),
        tuple(one for one in own if one not in behind),
        by=next(iter(bridges)) if elsewhere else "",
        is_repeated=again or elsewhere,
    )


def _parted(told: Iterable[Traversal]) -> tuple[list[Traversal], list[Traversal]]:
    """The packet's and its copies': these are passed up after the packet was handed on."""
    parted: tuple[list[Traversal], list[Traversal]] = [], []
    ns, hooks = "", set[str]()
    for one in told:
        hook = one.hook if (one.own, one.place, one.family) == (True, FIRST, "bridge") else ""
        if one.ns != ns or hook == "prerouting":
            ns, hooks = one.ns, set()
        hooks.add(hook)
        parted[{"forward", "input"} <= hooks].append(one)
    return parted


def _bridge(ns: str, told: Iterable[Traversal]) -> str:
    """The bridge, by whose name IPv4's hooks know what came by its ports."""
    return next((one.iif for one in told if (one.ns, one.family) == (ns, "ip") and one.iif), "")


def _is_passed_up(one: Sighting, bridges: dict[str, str], seen: Iterable[Sighting]) -> bool:
    """Whether the bridge itself got the copy, or sent it on."""
    if bridges.get(one.ns) != one.dev:
        return False
    most = max(other.header.ttl for other in seen if other.ns == one.ns)
    return not one.outgoing or one.header.ttl < most


def _spot(one: Sighting | Traversal) -> Spot:
    """Where it was heard, of what flow."""
    flow = Flow.of(one.header)
    if isinstance(one, Sighting):
        return one.ns, one.dev, one.outgoing, flow
    return one.ns, one.family, one.table, one.chain, one.iif, one.oif, flow
