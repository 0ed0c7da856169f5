"""Changes to requests, one batch for each namespace.  Pure.

Batches go out leaves first: namespaces that get few links before those that get many.  A pair of
veths is made by the first batch that has one of its ends; the other end's batch only sets it up.
"""

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple, TypeVar

from testbed.errors import KernelError
from testbed.kernel.netlink import devconf, encode, encode_links
from testbed.kernel.netlink.encode import Indexes
from testbed.kernel.netlink.encode_links import LOOPBACK_INDEX
from testbed.net.drift.changes import Changes, LinkName
from testbed.net.drift.diff import connected_route
from testbed.net.facts import Address, Bridge, Fact, Route, Sysctl, Veth
from testbed.net.shaping import Shaper
from testbed.net.show import show

_Encoded = TypeVar("_Encoded")
Link = Veth | Bridge
Numbers = Mapping[LinkName, int]

# What the kernel says when there is nothing to remove (any more)
GONE = frozenset({errno.ESRCH, errno.ENOENT, errno.ENODEV, errno.EADDRNOTAVAIL})
EXISTS = frozenset({errno.EEXIST})
NOTHING: frozenset[int] = frozenset()


class Request(NamedTuple):
    """A message, the fact it is about, and the refusals (errno) that are as good as consent."""

    fact: Fact
    data: bytes
    forgiven: frozenset[int] = NOTHING


@dataclass(frozen=True)
class Wiring:
    """What a batch has to know beyond its own facts."""

    wanted: Mapping[LinkName, Link]
    found: Mapping[LinkName, Link]
    new: frozenset[LinkName]
    indexes: Mapping[str, Indexes]  # of all devices, by namespace; also of those to be made
    places: Mapping[str, int]  # of the namespaces in the order of the batches

    def comes_up_last(self, end: LinkName) -> bool:
        """Whether a new pair is made by the batch of its other end: this one's sets it up."""
        link = self.wanted[end]
        if end not in self.new or not isinstance(link, Veth):
            return False
        return (self.places[link.ns], link.name) > (self.places[link.peer_ns], link.peer)


def numbered(found: Numbers, changes: Changes, first: int) -> Numbers:
    """The numbers of all devices: found ones keep theirs.

    first: a pod's `eth0` has that one, any other new link one above it that nobody has in the lab.
    """
    loopbacks = {(ns, "lo"): LOOPBACK_INDEX for ns in changes.created}
    leaves = dict.fromkeys(_of_leaves(changes), first)
    free = count(max([first, *found.values()]) + 1)
    others = sorted(changes.new_links.difference(leaves))
    return {**found, **loopbacks, **leaves, **{name: next(free) for name in others}}


def _of_leaves(changes: Changes) -> Iterator[LinkName]:
    """The only link of each new namespace; of two such that are a pair, one.

    A kernel keeps its devices in a tree with 64 numbers a node: one above those is two nodes more.
    """
    new = _new_links(changes)
    leaves = {ns for ns in changes.created if new.get(ns) == 1}
    for ns in leaves:
        veth = next((fact for fact in changes.written[ns] if isinstance(fact, Veth)), None)
        if veth and (veth.peer_ns not in leaves or ns < veth.peer_ns):
            yield ns, veth.name


def by_namespace(numbers: Numbers) -> dict[str, dict[str, int]]:
    """The same numbers, of each namespace apart."""
    indexes: dict[str, dict[str, int]] = {}
    for (ns, name), index in numbers.items():
        indexes.setdefault(ns, {})[name] = index
    return indexes


def leaves_first(changes: Changes) -> list[str]:
    """The namespaces to be written to, in the order of their batches."""
    new = _new_links(changes)
    return sorted(new, key=lambda ns: (new[ns], ns))


def needed_first(changes: Changes, order: Iterable[str]) -> list[str]:
    """The namespaces to be made: first those at whose links' other ends others are."""
    new = _new_links(changes)
    created = [ns for ns in order if ns in changes.created]
    return sorted(created, key=lambda ns: new[ns] <= 1)


def _new_links(changes: Changes) -> dict[str, int]:
    new = dict.fromkeys(changes.written, 0)
    for ns, _ in changes.new_links:
        new[ns] += 1
    return new


def removal(ns: str, changes: Changes, indexes: Indexes) -> list[Request]:
    """The requests that remove what a namespace shall not have.

    Among it links whose names are needed again and whose peers' namespaces were dropped a moment
    ago: the kernel needs up to 160 ms to remove such a link by itself.
    """
    requests = [
        Request(fact, _known(encode.removed, fact, indexes), GONE)
        for fact in changes.removed.get(ns, ())
    ]
    for fact in changes.written.get(ns, ()):
        match fact:
            case Veth(name=name) | Bridge(name=name) if (ns, name) in changes.new_links:
                if name in indexes:
                    requests.append(Request(fact, encode_links.removed(indexes[name]), GONE))
    return requests


def writing(
    ns: str, facts: Iterable[Fact], wiring: Wiring, netns: Callable[[str], int]
) -> list[Request]:
    """The requests that write a namespace's facts.  Raises KernelError for an unknown device.

    netns: gives a descriptor of a namespace.
    """
    indexes = wiring.indexes.get(ns, {})
    requests: list[Request] = []
    for fact in facts:
        match fact:
            case Veth() | Bridge():
                messages = _link(fact, wiring, netns)
            case Sysctl() if not by_netlink(fact):
                continue
            case _:
                messages = _known(encode.written, fact, indexes)
        forgiven = _forgiven(fact)
        requests += [Request(fact, data, forgiven) for data in messages]
        if isinstance(fact, Address) and not fact.connected:
            data = encode.removed(connected_route(fact), indexes)
            requests.append(Request(fact, data, GONE))
    return requests


def _forgiven(fact: Fact) -> frozenset[int]:
    """A shaper that limits nobody is done without by a kernel that has none: `verify` tells."""
    match fact:
        case Shaper(limits=()):
            return EXISTS | GONE
        case Route() | Shaper():
            return EXISTS
    return NOTHING


def by_netlink(sysctl: Sysctl) -> bool:
    """Whether a sysctl is written by rtnetlink, and not through /proc."""
    setting = devconf.device_setting(sysctl.name)
    return setting is not None and setting.settable


def _link(link: Link, wiring: Wiring, netns: Callable[[str], int]) -> list[bytes]:
    name = link.ns, link.name
    index = wiring.indexes[link.ns][link.name]
    if name not in wiring.new:
        return [encode_links.changed(wiring.found[name], link, index)]
    if isinstance(link, Bridge):
        return encode_links.new_bridge(link, index)
    far = wiring.wanted.get((link.peer_ns, link.peer))
    if not isinstance(far, Veth):
        raise KernelError(f"{link.ns}: {show(link)}: nothing is said of its other end")
    if wiring.comes_up_last(name):
        return [encode_links.state(link, index)]
    far_index = wiring.indexes[far.ns][far.name]
    return [encode_links.new_veth(link, far, index, far_index, netns(far.ns))]


def _known(encoder: Callable[[Fact, Indexes], _Encoded], fact: Fact, indexes: Indexes) -> _Encoded:
    try:
        return encoder(fact, indexes)
    except KeyError as unknown:
        raise KernelError(f"{fact.ns}: {show(fact)}: there is no {unknown}") from None
