"""One namespace's facts, indexed: what a prediction looks things up in."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain
from typing import TypeVar

from testbed.explain.netfilter.ruleset import Netfilter
from testbed.explain.packet import LARGEST
from testbed.explain.routing.local_table import OwnAddresses, loopback_address
from testbed.explain.routing.policy import Routing
from testbed.explain.routing.reverse_path import ReversePath
from testbed.explain.routing.settings import Settings
from testbed.explain.walk.facts.classes import AddressClasses
from testbed.net.facts import (
    Address,
    Bridge,
    BridgePort,
    Chain,
    Fact,
    Fdb,
    Foreign,
    Neighbour,
    Netns,
    Route,
    Rule,
    Sysctl,
    Veth,
)

AnyFact = TypeVar("AnyFact", bound=Fact)


class Space:
    """One namespace, indexed (state: the indexes; parts are made when first asked for)."""

    def __init__(self, ns: str, facts: Iterable[Fact]) -> None:
        self.ns = ns
        self._kinds: dict[type[Fact], list[Fact]] = {}
        for fact in facts:
            self._kinds.setdefault(type(fact), []).append(fact)
        self.veths = {fact.name: fact for fact in self.all(Veth)}
        self.bridges = {fact.name: fact for fact in self.all(Bridge)}
        links: list[Veth | Bridge] = [*self.veths.values(), *self.bridges.values()]
        self.macs = {link.name: link.mac for link in links}
        self.mtus = {link.name: link.mtu for link in links}
        self.ports = {fact.dev: fact for fact in self.all(BridgePort)}
        self.neighbours = {
            (fact.dev, int(fact.ip)): fact for fact in self.all(Neighbour) if fact.ip.version == 4
        }

    def all(self, kind: type[AnyFact]) -> list[AnyFact]:
        """The facts of one kind."""
        return self._kinds.get(kind, [])  # type: ignore[return-value]  # by their type

    def _all(self) -> Iterator[Fact]:
        return chain.from_iterable(self._kinds.values())

    @cached_property
    def settings(self) -> Settings:
        """Its sysctls."""
        return Settings(self.all(Sysctl))

    @cached_property
    def calls_iptables(self) -> bool:
        """Whether bridged IPv4 passes iptables (br_netfilter)."""
        return self.settings.bridge_calls_iptables

    @cached_property
    def addresses(self) -> list[Address]:
        """Its addresses, the loopback's own among them."""
        loopback = [loopback_address(netns) for netns in self.all(Netns) if netns.up]
        return [*loopback, *self.all(Address)]

    @cached_property
    def own(self) -> OwnAddresses:
        """The addresses it can send with."""
        return OwnAddresses(self.addresses)

    @cached_property
    def routing(self) -> Routing:
        """Its rules and tables."""
        links: list[Veth | Bridge] = [*self.veths.values(), *self.bridges.values()]
        return Routing(
            self.all(Rule),
            self.all(Route),
            self.addresses,
            foreign=self.all(Foreign),
            down=frozenset(link.name for link in links if not link.up),
        )

    @cached_property
    def reverse_path(self) -> ReversePath:
        """Its checks on sources."""
        return ReversePath(self.routing, self.own, self.settings)

    @cached_property
    def netfilter(self) -> Netfilter:
        """Its rule sets."""
        return Netfilter(self._all(), self.routing)

    @cached_property
    def classes(self) -> AddressClasses:
        """The addresses that are alike here, for packets that no inner chain is asked about."""
        inner = self.netfilter.inner
        return AddressClasses(
            fact for fact in self._all() if not (isinstance(fact, Chain) and fact.name in inner)
        )

    @cached_property
    def port_macs(self) -> dict[str, dict[str, str]]:
        """Of each bridge the ports by the MACs that are entered for them."""
        found: dict[str, dict[str, str]] = {}
        for entry in self.all(Fdb):
            port = self.ports.get(entry.dev)
            if port is not None:
                found.setdefault(port.bridge, {})[entry.mac] = entry.dev
        return found

    def mac(self, dev: str) -> str:
        """A device's MAC; empty for one that no fact describes."""
        return self.macs.get(dev, "")

    def mtu(self, dev: str) -> int:
        """The largest packet a device takes, in bytes; any is small enough for one unknown."""
        return self.mtus.get(dev, LARGEST)

    def mtu_to(self, destination: int) -> int:
        """The largest packet that the route to an address takes: its own MTU, or its device's."""
        decision = self.routing.decide(0, destination, "")
        return (decision.route.mtu if decision.route else 0) or self.mtu(decision.dev)

    def is_empty(self, dev: str) -> bool:
        """Whether it is a bridge that nothing is attached to, such as docker0 at first."""
        return dev in self.bridges and not self.ports_of(dev)

    def ports_of(self, bridge: str) -> list[BridgePort]:
        """A bridge's ports, by name."""
        ports = (port for port in self.ports.values() if port.bridge == bridge)
        return sorted(ports, key=lambda port: port.dev)
