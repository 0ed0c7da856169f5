"""What the groups of a network interface allow together: who may use which ports.

Rules overlap; here they become ranges of ports that do not, each with all the peers that any rule
gives it.  So a packet is found in a map by its port, however many rules there are.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from typing import Literal

from testbed.vpc.security.model import (
    ALL,
    ALL_PORTS,
    ANYWHERE,
    NUMBERS,
    PORTED,
    GroupRule,
    GroupRules,
    PrefixList,
    Range,
    SecurityGroup,
)

Direction = Literal["out", "in"]
OPPOSITE: Mapping[Direction, Direction] = {"out": "in", "in": "out"}


# A range, or the name of a group: the addresses of the interfaces that carry it
Peer = IPv4Network | str
Peers = Mapping[Peer, str]  # with the rule that lets each in: `web: tcp 80 from 10.0.0.0/8`


@dataclass(frozen=True)
class Allowed:
    """Peers that may use a range of one protocol's ports (or ICMP's types and codes)."""

    protocol: str
    numbers: Range
    peers: Peers


def rules_of(group: SecurityGroup, direction: Direction) -> GroupRules:
    """A group's rules in one direction."""
    return group.allows_out if direction == "out" else group.allows_in


def allowed(
    groups: Iterable[SecurityGroup],
    direction: Direction,
    lists: Mapping[str, PrefixList],
) -> tuple[Allowed, ...]:
    """What all the groups of an interface allow in one direction.

    Rules for all protocols count for TCP, UDP and ICMP, and are there as `all` for any other.
    """
    given = [
        (rule, dict(_peers(group, rule, direction, lists)))
        for group in groups
        for rule in rules_of(group, direction)
    ]
    protocols = [*NUMBERS, *sorted({rule.protocol for rule, _ in given} - {*NUMBERS, ALL}), ALL]
    return tuple(
        one
        for protocol in protocols
        for one in _disjoint(protocol, [(r, p) for r, p in given if r.protocol in (protocol, ALL)])
    )


def is_open(rules: Iterable[Allowed], protocol: str) -> bool:
    """Whether every address may use every port: then the other direction is not tracked.

    VPC User Guide, "Security group connection tracking": 0.0.0.0/0, and for any port.
    """
    return any(
        one.protocol == protocol and one.numbers == ALL_PORTS and anywhere(one) for one in rules
    )


def anywhere(one: Allowed) -> str:
    """The rule that lets every address in; empty where none does."""
    return one.peers.get(ANYWHERE, "")


def _peers(
    group: SecurityGroup, rule: GroupRule, direction: Direction, lists: Mapping[str, PrefixList]
) -> Iterator[tuple[Peer, str]]:
    word = "to" if direction == "out" else "from"
    why = f"{group.name}: {rule.named} {word} {rule.peer}"
    if rule.group:
        yield rule.group, why
    elif rule.prefix_list:
        yield from ((network, why) for network in lists[rule.prefix_list].entries)
    elif rule.cidr:
        yield rule.cidr, why


def _disjoint(protocol: str, given: list[tuple[GroupRule, dict[Peer, str]]]) -> Iterator[Allowed]:
    """Ranges of ports without overlap, from the lowest on; neighbours with equal peers are one."""
    spans = [(_span(protocol, rule), peers) for rule, peers in given]
    starts = sorted({span.first for span, _ in spans} | {span.last + 1 for span, _ in spans})
    last: Allowed | None = None
    for first, after in itertools.pairwise(starts):
        peers: dict[Peer, str] = {}
        for span, of in spans:
            if span.first <= first <= span.last:
                peers |= {peer: why for peer, why in of.items() if peer not in peers}
        if last and last.peers.keys() == peers.keys():
            last = replace(last, numbers=Range(last.numbers.first, after - 1))
            continue
        if last and last.peers:
            yield last
        last = Allowed(protocol, Range(first, after - 1), peers)
    if last and last.peers:
        yield last


def _span(protocol: str, rule: GroupRule) -> Range:
    """The ports a rule means.  Of protocols without ports EC2 keeps none."""
    if rule.protocol == ALL or protocol not in (*PORTED, "icmp"):
        return ALL_PORTS
    return rule.numbers
