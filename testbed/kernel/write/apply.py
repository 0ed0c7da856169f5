"""Writes facts to the kernel: from what was found to what is wanted.  Needs CAP_SYS_ADMIN.

Removals come first, so that names and addresses are free.  Then each namespace gets the sysctls
that new links inherit.  Then one batch of netlink messages for each, leaves first, and its rule
sets before that: no packet passes unfiltered.
"""

import errno
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain

from testbed.errors import KernelError, MissingFeature
from testbed.kernel import sysctl
from testbed.kernel.namespaces.enter import enter, entered, returning
from testbed.kernel.namespaces.making import Maker
from testbed.kernel.namespaces.store import Descriptors, NamespaceStore
from testbed.kernel.netlink.batch import (
    Numbers,
    Request,
    Wiring,
    by_namespace,
    by_netlink,
    leaves_first,
    needed_first,
    numbered,
    removal,
    writing,
)
from testbed.kernel.netlink.encode_links import ETH0_INDEX
from testbed.kernel.netlink.socket import NetlinkSocket
from testbed.kernel.read.observe import Observation
from testbed.kernel.rules import alike, netfilter
from testbed.kernel.write.carrier import await_carrier, carrying
from testbed.kernel.write.inherited import inherited
from testbed.net.drift.changes import NETFILTER, Changes, changes, links
from testbed.net.facts import Chain, Fact, State, Sysctl
from testbed.net.shaping import Shaper
from testbed.net.show import show

NOTHING_FOUND = Observation()
TOLD_AT_ONCE = 200  # namespaces


def _untold(_names: Sequence[str]) -> None:
    """For a caller that waits for all."""


def apply(
    store: NamespaceStore,
    wanted: State,
    found: Observation | None = None,
    wired: Callable[[Sequence[str]], None] = _untold,
    made: Maker | None = None,
) -> Numbers:
    """Bring the kernel from `found` (None: nothing) to `wanted`; the numbers of all links.

    wired: is told the namespaces whose links, addresses and routes are there, some at a time.
    made: what new namespaces are taken from; none makes them now.
    Raises KernelError, which leaves things half-way: the caller tears a new lab down and applies
    the old state to a running one.
    """
    found = found or NOTHING_FOUND
    todo = changes(wanted, found.state)
    if todo == Changes():
        return found.indexes
    with Descriptors(store, made) as spaces, ThreadPoolExecutor(1, "netfilter") as other:
        _remove(spaces, todo, found.indexes)
        store.drop(todo.dropped)
        order = leaves_first(todo)
        created = needed_first(todo, order)
        spaces.create(created)
        _prepare(spaces, todo)
        filtered = _filtering(other, spaces, found.state, wanted, todo.refiltered)
        first = _first_index(spaces.of(created[0])) if created else ETH0_INDEX
        numbers = numbered(found.indexes, todo, first)
        wiring = _wiring(found.state, wanted, todo, numbers, order)
        with inherited(spaces, _late(todo), todo.new_links) as left, returning():
            _wire(spaces, todo, wiring, filtered, wired)
        filtered.result()
        _finish(spaces, left)
        written = chain.from_iterable(todo.written.values())
        await_carrier(spaces, carrying(written, wanted, wiring.comes_up_last))
    return {name: index for name, index in numbers.items() if name[0] not in todo.dropped}


def _remove(spaces: Descriptors, todo: Changes, numbers: Numbers) -> None:
    for ns, indexes in by_namespace(numbers).items():
        requests = removal(ns, todo, indexes) if ns not in todo.dropped else []
        if requests:
            with entered(spaces.of(ns)):
                _send(ns, requests)


def _prepare(spaces: Descriptors, todo: Changes) -> None:
    """Before the links: sysctls of whole namespaces."""
    for ns, facts in todo.written.items():
        settings = [fact for fact in facts if isinstance(fact, Sysctl) and not _is_late(fact)]
        if settings:
            with entered(spaces.of(ns)):
                sysctl.write_all(sorted(settings, key=_reach))


def _first_index(new_space: int) -> int:
    """The number of a pod's eth0: 3, unless a new namespace has more devices than lo.

    The kernel puts tunl0 and its like into each where their modules are loaded.
    """
    with entered(new_space):
        return max(ETH0_INDEX, *(index + 1 for index, _ in socket.if_nameindex()))


def _wiring(
    found: State, wanted: State, todo: Changes, numbers: Numbers, order: Sequence[str]
) -> Wiring:
    return Wiring(
        wanted=links(wanted),
        found=links(found),
        new=todo.new_links,
        indexes=by_namespace(numbers),
        places={ns: place for place, ns in enumerate(order)},
    )


def _wire(
    spaces: Descriptors,
    todo: Changes,
    wiring: Wiring,
    filtered: Future[None],
    wired: Callable[[Sequence[str]], None],
) -> None:
    """One namespace after the other, within `returning`: the thread stays in the last one."""
    order = [*wiring.places]
    for start in range(0, len(order), TOLD_AT_ONCE):
        some = order[start : start + TOLD_AT_ONCE]
        for ns in some:
            if ns in todo.refiltered:
                filtered.result()
            enter(spaces.of(ns))
            _send(ns, writing(ns, todo.written[ns], wiring, spaces.of))
        wired(some)


def _filtering(
    other: ThreadPoolExecutor, spaces: Descriptors, found: State, wanted: State, names: Set[str]
) -> Future[None]:
    """The rule sets, written meanwhile.  For none no thread is begun: that may take 5 ms."""
    if names:
        rules = [_netfilter(state, names) for state in (found, wanted)]
        return other.submit(_filter, spaces, *rules)
    done = Future[None]()
    done.set_result(None)
    return done


def _filter(
    spaces: Descriptors, before: Mapping[str, list[Fact]], after: Mapping[str, list[Fact]]
) -> None:
    """Rule sets: new ones of like namespaces as copies, the others each by its own programs."""
    chains = {
        ns: [fact for fact in those if isinstance(fact, Chain)] for ns, those in after.items()
    }
    new = {
        ns: those
        for ns, those in chains.items()
        if not any(isinstance(fact, Chain) for fact in before[ns])
    }
    copied = alike.write(new, spaces.of)
    for ns in sorted(after):
        wanted = [fact for fact in after[ns] if not (ns in copied and isinstance(fact, Chain))]
        with entered(spaces.of(ns)):
            netfilter.write(ns, frozenset(before[ns]), frozenset(wanted))


def _late(todo: Changes) -> dict[str, list[Sysctl]]:
    """Sysctls that are not there before the links, as far as only /proc sets them."""
    late: dict[str, list[Sysctl]] = {}
    for ns, facts in todo.written.items():
        for fact in facts:
            if isinstance(fact, Sysctl) and _is_late(fact) and not by_netlink(fact):
                late.setdefault(ns, []).append(fact)
    return late


def _finish(spaces: Descriptors, late: Mapping[str, Sequence[Sysctl]]) -> None:
    """After the links: those of the late sysctls that did not come with them."""
    for ns, settings in late.items():
        if settings:
            with entered(spaces.of(ns)):
                sysctl.write_all(settings)


def _is_late(fact: Sysctl) -> bool:
    """Whether it comes with a link, or with the rules that bring connection tracking."""
    return bool(fact.dev) or fact.name.startswith("net.netfilter.")


def _reach(fact: Sysctl) -> tuple[int, str]:
    """Sysctls that set others too come first: ip_forward, then those of `all` devices."""
    wide = ("net.ipv4.ip_forward", "net.ipv4.conf.all.", "net.ipv6.conf.all.")
    reach = [place for place, prefix in enumerate(wide) if fact.name.startswith(prefix)]
    return (reach or [len(wide)])[0], fact.name


def _netfilter(state: State, namespaces: Iterable[str]) -> dict[str, list[Fact]]:
    facts: dict[str, list[Fact]] = {ns: [] for ns in namespaces}
    for fact in state if facts else ():
        if fact.ns in facts and isinstance(fact, NETFILTER):
            facts[fact.ns].append(fact)
    return facts


def _send(ns: str, requests: Sequence[Request]) -> None:
    """One batch.  Raises KernelError for the first fact that the kernel refuses."""
    with NetlinkSocket() as socket:
        for refusal in socket.send([request.data for request in requests]):
            request = requests[refusal.sequence]
            if refusal.errno not in request.forgiven:
                lacking = isinstance(request.fact, Shaper) and refusal.errno == errno.ENOENT
                kind = MissingFeature if lacking else KernelError  # this kernel has no htb, or u32
                raise kind(f"{ns}: {show(request.fact)}: {refusal}")
