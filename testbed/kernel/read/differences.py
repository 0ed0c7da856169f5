"""What differs between a plan and the kernels, found by all processors.  Needs CAP_SYS_ADMIN.

Each processor reads some of the namespaces and compares them there; only what differs is brought
together, and the links whose peers another one has read.  So a lab is known as a whole, too: it is
the plan, but for what differs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import chain

from testbed.kernel.machine.shares import shared_out
from testbed.kernel.namespaces.store import NamespaceStore
from testbed.kernel.netlink.decode_links import Peers, facts_of, link_facts
from testbed.kernel.netlink.links import Link
from testbed.kernel.read.expected import ByKind, Expected, by_kind
from testbed.kernel.read.namespace import read_each
from testbed.kernel.read.observe import Observation
from testbed.net.drift.changes import LinkName
from testbed.net.drift.diff import Drift, connected_routes, default_rules, difference, implied
from testbed.net.facts import Fact, Netns, Rule, State, Veth

MANY = 64  # namespaces that are worth a process for each processor
MOST_TOGETHER = 128  # the sockets of a group are open at a time
FACTS_A_NAMESPACE = 50  # that take as long as to enter and ask it

Group = Sequence[str]  # namespaces that are best read together


@dataclass(frozen=True)
class _Compared:
    """What was found, by one processor or by all."""

    missing: State
    extra: State
    indexes: Mapping[LinkName, int]  # of all links, if they were asked for
    alone: Sequence[tuple[Link, str]] = ()  # veths without a peer here, and their bridges' names


def drift(store: NamespaceStore, wanted: State) -> Drift:
    """What differs between these facts and what the kernel has in every namespace.

    `wanted` need not name what the kernel adds by itself.  Raises KernelError.
    """
    found = _everywhere(store, wanted, numbered=False)
    return difference(found.missing, found.extra)


def observed(store: NamespaceStore, wanted: State) -> Observation:
    """What `observe` finds in every namespace, with the sysctls that are wanted.

    Raises KernelError.
    """
    found = _everywhere(store, wanted, numbered=True)
    expected = wanted | implied(wanted)
    return Observation(expected - found.missing | found.extra, found.indexes)


def _everywhere(store: NamespaceStore, wanted: State, *, numbered: bool) -> _Compared:
    there = store.names()
    planned = by_kind(chain(wanted, connected_routes(wanted)))

    def compare(groups: Iterable[Group]) -> _Compared:
        found = _compared(store, groups, there, Expected.of(planned, whole=True))
        return found if numbered else replace(found, indexes={})

    def weight(group: Group) -> float:
        facts = sum(sum(map(len, planned.get(ns, {}).values())) for ns in group)
        return facts + FACTS_A_NAMESPACE * len(group)

    groups = together(planned, there | planned.keys())
    compared = shared_out(compare, groups, weight) if len(there) >= MANY else [compare(groups)]
    return _joined(compared)


def together(planned: Mapping[str, ByKind], names: Iterable[str]) -> list[Group]:
    """Namespaces by the one that all their links lead to: pods with their node.  Pure.

    Of very many some are together: all processors are to have some.
    """
    peers = {
        ns: {veth.peer_ns for veth in facts.get(Veth, ()) if isinstance(veth, Veth)}
        for ns, facts in planned.items()
    }
    groups: dict[str, list[str]] = {}
    for ns in sorted(names):
        own = list(peers.get(ns, ()))
        leaf = len(own) == 1 and len(peers.get(own[0], ())) > 1
        groups.setdefault(own[0] if leaf else ns, []).append(ns)
    return [
        group[start : start + MOST_TOGETHER]
        for group in groups.values()
        for start in range(0, len(group), MOST_TOGETHER)
    ]


def _compared(
    store: NamespaceStore, groups: Iterable[Group], there: frozenset[str], expected: Expected
) -> _Compared:
    """Some namespaces, read and compared; groups come when those before them are done."""
    asked: list[str] = []

    def coming() -> Iterator[Group]:
        for group in groups:
            asked.extend(group)
            yield [ns for ns in group if ns in there]

    read = read_each(store, coming(), expected)
    peers = Peers(one for space in read for one in space.links)
    found: list[Fact] = []
    alone: list[tuple[Link, str]] = []
    for space in read:
        found += space.facts
        found += link_facts(space.links, peers)
        names = space.names
        alone += (
            (one, names.get(one.master, ""))
            for one in space.links
            if one.kind == "veth" and not peers.of(one)
        )
    told = {space.ns: space.as_planned for space in read}
    left = frozenset(_left(expected, asked, told))
    seen = frozenset(found)
    indexes = {(one.ns, one.name): one.ifindex for space in read for one in space.links}
    return _Compared(left - seen, seen - left, indexes, alone)


def _left(
    expected: Expected, names: Iterable[str], told: Mapping[str, Set[type[Fact]]]
) -> Iterator[Fact]:
    """What is expected, but for kinds of which it is known that just that was found."""
    for ns in names:
        as_planned = told.get(ns, frozenset())
        of_kind = expected.facts.get(ns, {})
        for kind in of_kind.keys() - as_planned:
            yield from of_kind[kind]
        if Rule not in as_planned:
            yield from default_rules(of_kind.get(Netns, ()))


def _joined(compared: Sequence[_Compared]) -> _Compared:
    alone = [one for share in compared for one in share.alone]
    peers = Peers(link for link, _ in alone)
    found = frozenset(fact for link, bridge in alone for fact in facts_of(link, bridge, peers))
    missing = frozenset[Fact]().union(*(share.missing for share in compared))
    extra = found.union(*(share.extra for share in compared))
    indexes = dict(chain.from_iterable(share.indexes.items() for share in compared))
    return _Compared(missing, extra, indexes)
