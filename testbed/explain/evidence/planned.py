"""What the plan says of things that were seen in kernels: why they are there, what is behind."""

from collections.abc import Iterable
from functools import cached_property

from testbed.explain.evidence.witnesses import RuleName
from testbed.explain.routing.local_table import local_routes
from testbed.explain.walk.facts.space import Space
from testbed.net.drift.diff import implied
from testbed.net.facts import (
    Address,
    Chain,
    Fact,
    IpAddress,
    NftChain,
    NftElement,
    Route,
    State,
    Veth,
)

RouteKey = tuple[object, ...]


class Planned:
    """A plan, by namespace (state: what was indexed so far, for all packets that come there)."""

    def __init__(self, plan: State) -> None:
        self.plan = plan
        self._facts: dict[str, list[Fact]] = {}
        for fact in plan:
            self._facts.setdefault(fact.ns, []).append(fact)
        self._places: dict[str, Place] = {}

    def place(self, ns: str) -> "Place":
        """What is planned for a namespace."""
        if ns not in self._places:
            self._places[ns] = Place(ns, self._facts.get(ns, ()))
        return self._places[ns]


class Place:
    """The planned facts of one namespace (state: indexes, made when first asked for)."""

    def __init__(self, ns: str, facts: Iterable[Fact]) -> None:
        self._ns = ns
        known = frozenset(facts)
        self._facts = {fact: fact for fact in known | implied(known)}

    def route(self, found: Route) -> Route:
        """The planned route that this is, else the found one."""
        return self._routes.get(_key(found), found)

    def of(self, state: State) -> State:
        """Facts that were found as the planned ones that they are, which know why they exist."""
        return frozenset(self._facts.get(fact, fact) for fact in state)

    def why(self, name: RuleName, text: str) -> str:
        """Why a rule of netfilter is there."""
        return self._whys.get((name.family, name.table, name.chain, text), "")

    @cached_property
    def space(self) -> Space:
        """All of it, as predictions see it."""
        return Space(self._ns, self._facts)

    def peer(self, dev: str) -> Veth | None:
        """The veth that a device is; it names its other end."""
        return self.space.veths.get(dev)

    def is_bridge(self, dev: str) -> bool:
        """Whether a device is a bridge."""
        return dev in self.space.bridges

    def is_port(self, dev: str) -> bool:
        """Whether a device is a bridge's port."""
        return dev in self.space.ports

    def element(self, name: str, dev: str, ip: IpAddress) -> NftElement | None:
        """The element of a fabric's set that names a port, an address or both."""
        for element in self._elements.get(name, ()):
            parts = element.element.split(" . ")
            if all(part in (f'"{dev}"', str(ip)) or ":" in part for part in parts):
                return element
        return None

    @cached_property
    def _routes(self) -> dict[RouteKey, Route]:
        addresses = [fact for fact in self._facts if isinstance(fact, Address)]
        routes = [fact for fact in self._facts if isinstance(fact, Route)]
        return {_key(route): route for route in (*local_routes(addresses), *routes)}

    @cached_property
    def _whys(self) -> dict[tuple[str, str, str, str], str]:
        """Of equal rules in a chain the first one's."""
        found: dict[tuple[str, str, str, str], str] = {}
        for chain in self._facts:
            if isinstance(chain, Chain | NftChain):
                family = "ip" if isinstance(chain, Chain) else chain.family
                for rule in chain.rules:
                    why = rule.why or chain.why
                    found.setdefault((family, chain.table, chain.name, rule.text), why)
        return found

    @cached_property
    def _elements(self) -> dict[str, list[NftElement]]:
        found: dict[str, list[NftElement]] = {}
        for fact in self._facts:
            if isinstance(fact, NftElement):
                found.setdefault(fact.set, []).append(fact)
        return found


def _key(route: Route) -> RouteKey:
    return (route.table, route.dst, route.kind, route.dev, route.via, route.metric)
