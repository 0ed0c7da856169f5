"""The order in which the kernel accepts facts.

A route through a gateway needs the route to the gateway, that one the link and, for its source,
the address.  Within one kind: addresses ascending, so that the lowest of a subnet becomes the
primary one; rules as `ip rule` shall print them, those of one priority by their addresses.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from testbed.net.drift.diff import DEFAULT_RULES
from testbed.net.facts import (
    Address,
    Bridge,
    BridgePort,
    Fact,
    Fdb,
    Foreign,
    IpNetwork,
    Neighbour,
    Netns,
    Route,
    Rule,
    Sysctl,
    Veth,
)
from testbed.net.shaping import Shaper

Place = tuple[Any, ...]


def writing_order(facts: Iterable[Fact]) -> list[Fact]:
    """Facts of one namespace as they can be written.

    Netfilter facts are left out: a rule set is written in one stroke.
    """
    return sorted((fact for fact in facts if type(fact) in _PLACES), key=_place)


def removing_order(facts: Iterable[Fact]) -> list[Fact]:
    """The other way round.

    Of two rules of which one names less, that one comes last: to the kernel it stands for both.
    """
    return writing_order(facts)[::-1]


def _place(fact: Fact) -> Place:
    return _PLACES[type(fact)](fact)


def _number(network: IpNetwork) -> int:
    return int(network.network_address)


def _address(fact: Address) -> Place:
    return 4, fact.dev, fact.ip.version, int(fact.ip)


def _prefix(network: IpNetwork) -> Place:
    return network.version, _number(network), network.prefixlen


def _route(fact: Route) -> Place:
    rank = 6 if fact.via else 5
    return rank, fact.table, fact.dst.version, _number(fact.dst), fact.dst.prefixlen, fact.metric


def _rule(fact: Rule) -> Place:
    # the kernel looks a gateway up through the rules: its own ones come before routes
    rank = 0 if (fact.priority, fact.table) in DEFAULT_RULES else 9
    selector = *_prefix(fact.dst), *_prefix(fact.src), fact.fwmark, fact.fwmask, fact.iif
    return rank, fact.priority, *selector, fact.table, fact.copy


_PLACES: Mapping[type[Fact], Callable[[Any], Place]] = {
    Netns: lambda fact: (0,),
    Foreign: lambda fact: (1, fact.kind, fact.message),
    Bridge: lambda fact: (1, fact.name),
    Veth: lambda fact: (1, fact.name),
    BridgePort: lambda fact: (2, fact.dev),
    Shaper: lambda fact: (2, fact.dev),
    Sysctl: lambda fact: (3, fact.name),
    Address: _address,
    Route: _route,
    Neighbour: lambda fact: (7, fact.dev, fact.ip.version, int(fact.ip)),
    Fdb: lambda fact: (8, fact.dev, fact.mac),
    Rule: _rule,
}
