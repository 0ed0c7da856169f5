"""From the found facts to the wanted ones: what to remove and what to write, in order."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from testbed.net.drift.diff import Drift, difference, implied
from testbed.net.drift.order import removing_order, writing_order
from testbed.net.facts import (
    ANYWHERE,
    Address,
    Bridge,
    BridgePort,
    Chain,
    Fact,
    Fdb,
    Neighbour,
    Netns,
    NftChain,
    NftElement,
    NftSet,
    Route,
    Rule,
    State,
    Sysctl,
    Veth,
)
from testbed.net.shaping import Shaper

LinkName = tuple[str, str]  # a namespace and a device in it

LINKS = (Veth, Bridge)
NETFILTER = (Chain, NftSet, NftElement, NftChain)


@dataclass(frozen=True)
class Changes:
    """The steps from one state to another, by namespace, each list in the order to follow."""

    created: frozenset[str] = frozenset()
    dropped: frozenset[str] = frozenset()
    removed: Mapping[str, list[Fact]] = field(default_factory=dict)
    written: Mapping[str, list[Fact]] = field(default_factory=dict)
    new_links: frozenset[LinkName] = frozenset()  # the written links that are made, not changed
    refiltered: frozenset[str] = frozenset()  # namespaces whose netfilter facts differ


def changes(wanted: State, found: State) -> Changes:
    """What turns `found` into `wanted`.

    The kernel takes more along than what it is told to remove: with a link everything on it, with
    an address the routes and neighbours of its device.  What of that is wanted is written again.
    """
    if not found:
        return _all_new(wanted)
    here, there = _namespaces(found), _namespaces(wanted)
    staying = here & there
    expected = wanted | implied(frozenset(fact for fact in wanted if fact.ns in staying))
    drift = difference(expected, found)
    if not drift:
        return Changes()
    links = _Links(wanted, found, dropped=here - there)
    removed = frozenset(_removed(drift, links))
    removed |= _covered_rules(removed, found)
    touched = _touched(removed, drift, links, staying)
    again = expected & removed | _on(touched, expected)
    written = drift.missing.union((change.wanted for change in drift.changed), again)
    written |= _device_sysctls(written, expected)
    different = written | drift.extra
    return Changes(
        created=there - here,
        dropped=here - there,
        removed=_by_namespace(removed, removing_order),
        written=_by_namespace(written, writing_order),
        new_links=links.new,
        refiltered=_filtered(different) & there,
    )


def _all_new(wanted: State) -> Changes:
    """Of a new lab everything is written; for thousands of pods it pays to compare nothing."""
    there = _namespaces(wanted)
    return Changes(
        created=there,
        written=_by_namespace(wanted, writing_order),
        new_links=frozenset(links(wanted)),
        refiltered=_filtered(wanted) & there,
    )


def links(state: State) -> dict[LinkName, Veth | Bridge]:
    """The links of a state, by name."""
    return {(fact.ns, fact.name): fact for fact in state if isinstance(fact, LINKS)}


class _Links:
    """The links of both states, and which of them have to be made or removed."""

    def __init__(self, wanted: State, found: State, dropped: frozenset[str]) -> None:
        self.found = links(found)
        self.wanted = links(wanted)
        self.ports = frozenset(fact for fact in wanted | found if isinstance(fact, BridgePort))
        self.new = frozenset(name for name in self.wanted if not self._there(name))
        leaving = (
            name
            for name, link in self.found.items()
            if name in self.new or (name not in self.wanted and not _follows(link, dropped))
        )
        self.stale = frozenset(name for name in leaving if name[0] not in dropped)
        self.dropped = dropped

    def _there(self, name: LinkName) -> bool:
        """Whether a wanted link exists: of the same type, and with the same peer."""
        link = self.wanted[name]
        match self.found.get(name):
            case Veth(peer_ns=peer_ns, peer=peer) if isinstance(link, Veth):
                return (peer_ns, peer) == (link.peer_ns, link.peer)
            case Bridge():
                return isinstance(link, Bridge)
        return False

    def goes_along(self, fact: Fact) -> bool:
        """Whether a found fact ends with its namespace or with a link that is removed."""
        if fact.ns in self.dropped or (fact.ns, _device(fact)) in self.stale:
            return True
        if not isinstance(fact, BridgePort):
            return False
        port = self.found.get((fact.ns, fact.dev))
        return (fact.ns, fact.bridge) in self.stale or bool(port and _follows(port, self.dropped))


def _follows(link: Veth | Bridge, dropped: frozenset[str]) -> bool:
    """Whether the kernel removes a link because its peer's namespace goes (18 to 29 ms saved)."""
    return isinstance(link, Veth) and link.peer_ns in dropped


def _removed(drift: Drift, links: _Links) -> Iterator[Fact]:
    """What is told to the kernel to be removed."""
    yield from (links.found[name] for name in links.stale)
    for fact in drift.extra:
        if not isinstance(fact, Netns | Sysctl | Veth | Bridge) and not links.goes_along(fact):
            yield fact
    for fact, _ in drift.changed:
        # the kernel's own routes may have equal keys (two devices in one subnet), and so are
        # appended; any other is replaced in one step.  A shaper has no changes at all.
        again = isinstance(fact, Shaper) or (isinstance(fact, Route) and fact.protocol == "kernel")
        if again and not links.goes_along(fact):
            yield fact


def _covered_rules(removed: State, found: State) -> State:
    """Rules the kernel might take for one that is removed.

    It removes the first that agrees in what the request names: `ip rule del pref 1536 from POD
    lookup 2` may hit `1536: from POD to 10.10.0.0/16 lookup 2`.
    """
    general: dict[tuple[str, int, int], list[Rule]] = {}
    for fact in removed:
        if isinstance(fact, Rule):
            general.setdefault((fact.ns, fact.priority, fact.table), []).append(fact)
    if not general:
        return frozenset()
    return frozenset(
        rule
        for rule in found
        if isinstance(rule, Rule)
        and any(
            _covers(one, rule) for one in general.get((rule.ns, rule.priority, rule.table), ())
        )
    )


def _covers(general: Rule, rule: Rule) -> bool:
    """Whether a rule has all that another one of its priority and table names."""
    return (
        general.src in (ANYWHERE, rule.src)
        and general.dst in (ANYWHERE, rule.dst)
        and general.fwmark in (0, rule.fwmark)
        and general.iif in ("", rule.iif)
    )


def _touched(
    removed: State, drift: Drift, links: _Links, staying: frozenset[str]
) -> frozenset[LinkName]:
    """The devices whose addresses, routes, neighbours and ports the kernel may have flushed."""
    touched = {name for name in links.new | links.stale if name[0] in staying}
    touched |= {(fact.ns, fact.dev) for fact in removed if isinstance(fact, Address)}
    for before, after in drift.changed:
        match before, after:
            case (Veth() | Bridge(), Veth() | Bridge()):
                if (before.mac, before.up) != (after.mac, after.up):
                    touched.add((after.ns, after.name))
            case BridgePort(), BridgePort() if before.bridge != after.bridge:
                touched.add((after.ns, after.dev))  # its forwarding entries were the old bridge's
    ports = (fact for fact in links.ports if (fact.ns, fact.bridge) in touched)
    return frozenset(touched | {(port.ns, port.dev) for port in ports})


def _device_sysctls(written: State, expected: State) -> State:
    """Those of namespaces in which a wider one is written: `all` and ip_forward set them too."""
    wide = {fact.ns for fact in written if isinstance(fact, Sysctl) and not fact.dev}
    if not wide:
        return frozenset()
    return frozenset(
        fact for fact in expected if isinstance(fact, Sysctl) and fact.ns in wide and fact.dev
    )


def _on(devices: frozenset[LinkName], state: State) -> State:
    if not devices:
        return frozenset()
    return frozenset(fact for fact in state if (fact.ns, _device(fact)) in devices)


def _device(fact: Fact) -> str:
    """The device a fact stands and falls with; empty for the links themselves."""
    match fact:
        case Address() | BridgePort() | Fdb() | Neighbour() | Route() | Shaper() | Sysctl():
            return fact.dev
    return ""


def _filtered(facts: State) -> frozenset[str]:
    return frozenset(fact.ns for fact in facts if isinstance(fact, NETFILTER))


def _namespaces(state: State) -> frozenset[str]:
    return frozenset(fact.ns for fact in state if isinstance(fact, Netns))


def _by_namespace(
    facts: Iterable[Fact], order: Callable[[Iterable[Fact]], list[Fact]]
) -> dict[str, list[Fact]]:
    gathered: dict[str, list[Fact]] = {}
    for fact in facts:
        gathered.setdefault(fact.ns, []).append(fact)
    return {ns: order(those) for ns, those in gathered.items()}
