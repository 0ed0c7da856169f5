"""What differs between the wanted facts and the found ones, and what the kernel adds by itself."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from testbed.net.facts import (
    DEFAULT_TABLE,
    LOCAL,
    MAIN,
    Address,
    Fact,
    IpInterface,
    Netns,
    Route,
    Rule,
    State,
)

# include/uapi/linux/fib_rules.h has no names; net/ipv4/fib_rules.c: fib_default_rules_init
DEFAULT_RULES = ((0, LOCAL), (32766, MAIN), (32767, DEFAULT_TABLE))


class Change(NamedTuple):
    """One object in two states."""

    found: Fact
    wanted: Fact


@dataclass(frozen=True)
class Drift:
    """The difference between what is wanted and what was found; false when there is none."""

    missing: State = frozenset()
    extra: State = frozenset()
    changed: frozenset[Change] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.missing or self.extra or self.changed)


def implied(state: State) -> State:
    """What the kernel adds by itself to these facts.

        0:      from all lookup local
        32766:  from all lookup main
        32767:  from all lookup default
        10.10.0.0/19 dev eth0 proto kernel scope link src 10.10.0.10

    Table local is left out; it is not read either.
    """
    return frozenset(default_rules(state)) | frozenset(connected_routes(state))


def compare(wanted: State, found: State) -> Drift:
    """What differs; `wanted` need not name what is implied."""
    return difference(wanted | implied(wanted), found)


def difference(expected: State, found: State) -> Drift:
    """What differs between two states that both hold what is implied."""
    missing = expected - found
    if not missing and len(expected) == len(found):
        return Drift()  # as most often: half of the comparing is saved
    extra = found - expected
    if not missing or not extra:
        return Drift(missing, extra)
    before = {fact.key: fact for fact in extra}
    changed = frozenset(Change(before[fact.key], fact) for fact in missing if fact.key in before)
    return Drift(
        missing=missing - {change.wanted for change in changed},
        extra=extra - {change.found for change in changed},
        changed=changed,
    )


def connected_route(address: Address) -> Route:
    """The route the kernel makes when it is given an address: to the subnet, out of its device."""
    return Route(
        ns=address.ns,
        dst=address.ip.network,
        dev=address.dev,
        src=address.ip.ip,
        scope="link",
        protocol="kernel",
        why="the kernel's own for every address with a subnet",
    )


def default_rules(facts: Iterable[Fact]) -> Iterator[Rule]:
    """The rules that the kernel makes with every namespace."""
    for fact in facts:
        if isinstance(fact, Netns):
            for priority, table in DEFAULT_RULES:
                yield Rule(ns=fact.ns, priority=priority, table=table, why="the kernel's own")


def connected_routes(facts: Iterable[Fact]) -> Iterator[Route]:
    """The routes that the kernel adds to addresses: one for each subnet and device.

    Of several addresses it is the lowest one's, which is written first.
    """
    first: dict[tuple[object, ...], Address] = {}
    for fact in facts:
        if isinstance(fact, Address) and fact.connected and _has_subnet(fact.ip):
            subnet = (fact.ns, fact.dev, fact.ip.network)
            first[subnet] = min(first.get(subnet, fact), fact, key=_address)
    for fact in first.values():
        yield connected_route(fact)


def _has_subnet(ip: IpInterface) -> bool:
    return ip.network.prefixlen < ip.max_prefixlen


def _address(fact: Address) -> int:
    return int(fact.ip)
