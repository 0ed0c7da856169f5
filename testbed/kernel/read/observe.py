"""Reads facts back from the kernel, of all namespaces or some.  Needs CAP_SYS_ADMIN."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from testbed.kernel.namespaces.enter import enter, returning
from testbed.kernel.namespaces.store import Descriptors, NamespaceStore
from testbed.kernel.netlink.decode_links import Peers, link_facts
from testbed.kernel.netlink.links import Link, Links
from testbed.kernel.netlink.socket import NetlinkSocket
from testbed.kernel.read.expected import Expected, by_kind
from testbed.kernel.read.namespace import Namespace, links_of, read_each
from testbed.net.drift.changes import LinkName
from testbed.net.facts import Chain, State, Sysctl

READERS = 2  # half of reading is the kernel's work and needs no interpreter
MANY = 64  # namespaces whose sockets are open at a time; more are worth threads


@dataclass(frozen=True)
class Observation:
    """What was found: facts, and the numbers of all links.

    New links get numbers above these: to apply to a part of a lab, give the numbers of all of it.
    """

    state: State = frozenset()
    indexes: Mapping[LinkName, int] = field(default_factory=dict)


def observe(
    store: NamespaceStore,
    names: Iterable[str] | None = None,
    sysctls: Iterable[Sysctl] = (),
    near: Iterable[str] = (),
    chains: Iterable[Chain] = (),
) -> Observation:
    """The facts in these namespaces (None: in all), and of the sysctls the ones named.

    Left out is what `read` leaves out, and veths whose peers' namespaces are gone.
    Raises KernelError.
    near: where veths' peers are to be looked for first.
    chains: what is likely to be found; no program is started where there is nothing else.
    """
    everywhere = store.names()
    asked = everywhere if names is None else frozenset(names)
    spaces = _read_all(store, sorted(asked), Expected.of(by_kind([*sysctls, *chains])))
    seen = [one for space in spaces for one in space.links]
    unread = everywhere - asked
    first = [ns for ns in near if ns in unread]
    elsewhere = _elsewhere(store, seen, [*first, *sorted(unread.difference(first))])
    peers = Peers([*seen, *elsewhere])
    facts = [fact for space in spaces for fact in link_facts(space.links, peers)]
    facts += [fact for space in spaces for fact in space.facts]
    return Observation(
        state=frozenset(facts),
        indexes={(one.ns, one.name): one.ifindex for one in seen},
    )


def _read_all(store: NamespaceStore, names: Sequence[str], expected: Expected) -> list[Namespace]:
    """What is in each namespace; many are shared out to threads."""
    groups = [names[start : start + MANY] for start in range(0, len(names), MANY)]
    if len(groups) < READERS:
        return read_each(store, groups, expected)
    with ThreadPoolExecutor(READERS) as threads:
        shares = [groups[start::READERS] for start in range(READERS)]
        found = threads.map(lambda share: read_each(store, share, expected), shares)
        return [one for some in found for one in some]


def _elsewhere(store: NamespaceStore, seen: list[Link], unread: Iterable[str]) -> list[Link]:
    """The links of namespaces nobody asked for, until each veth's peer is among them."""
    peers, veths = Peers(seen), (one for one in seen if one.kind == "veth")
    alone = {(one.peer_ifindex, one.ifindex) for one in veths if not peers.of(one)}
    found: list[Link] = []
    known = Links()
    with Descriptors(store) as spaces, returning():
        for ns in unread:
            if not alone:
                break
            enter(spaces.of(ns))
            with NetlinkSocket() as socket:
                links = links_of(ns, socket, known)
            alone -= {(one.ifindex, one.peer_ifindex) for one in links}
            found += links
    return found
