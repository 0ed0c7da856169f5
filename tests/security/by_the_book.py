"""Security groups and ACLs as the VPC User Guide tells them, rule by rule: slow, plain, no nft."""

import random
from collections.abc import Sequence
from ipaddress import IPv4Network

from testbed.vpc.security.model import (
    AclEntry,
    GroupRule,
    NetworkAcl,
    Range,
    SecurityGroup,
    Traffic,
)

RANGES = ("0.0.0.0/0", "10.0.0.0/16", "10.0.1.0/24", "10.0.2.0/24", "10.0.0.0/8", "10.0.2.4/30")
PORTS = (Range(80, 80), Range(7, 80), Range(0, 79), Range(81, 65535), Range(0, 65535), None)
GROUPS = ("red", "green", "blue")

What = tuple[str, int]  # a protocol, and a port or ICMP type * 256 + code


def some_rules(chance: random.Random) -> tuple[GroupRule, ...]:
    """Rules that overlap in every way."""
    rules: list[GroupRule] = []
    for _ in range(chance.randint(0, 5)):
        peer = (
            {"group": chance.choice(GROUPS)}
            if chance.random() < 0.4
            else {"cidr": IPv4Network(chance.choice(RANGES))}
        )
        rule = GroupRule(**_some_traffic(chance), **peer)  # type: ignore[arg-type]
        if all(
            (rule.protocol, rule.numbers, rule.peer) != (r.protocol, r.numbers, r.peer)
            for r in rules
        ):
            rules.append(rule)
    return tuple(rules)


def some_acl(chance: random.Random, name: str) -> NetworkAcl:
    """An ACL with entries in no order."""
    both = []
    for _ in range(2):
        numbers = chance.sample(range(1, 100), chance.randint(1, 4))
        both.append(
            tuple(
                AclEntry(
                    rule_number=number,
                    cidr=IPv4Network(chance.choice(RANGES)),
                    action=chance.choice(("allow", "allow", "deny")),
                    **_some_traffic(chance),  # type: ignore[arg-type]
                )
                for number in numbers
            )
        )
    return NetworkAcl(name, *both)


def _some_traffic(chance: random.Random) -> dict[str, object]:
    protocol = chance.choice(("all", "tcp", "tcp", "udp", "icmp", "50"))
    if protocol in ("tcp", "udp"):
        return {"protocol": protocol, "ports": chance.choice(PORTS)}
    if protocol == "icmp":
        kind, code = chance.choice(((-1, -1), (8, -1), (8, 0), (0, -1), (3, 4)))
        return {"protocol": protocol, "icmp_type": kind, "icmp_code": code}
    return {"protocol": protocol}


def means(rule: Traffic, protocol: str, number: int) -> bool:
    """Whether a rule is about such a packet.  number: its port, or ICMP type * 256 + code."""
    if rule.protocol == "all":
        return True
    return rule.protocol == protocol and rule.numbers.first <= number <= rule.numbers.last


def group_allows(
    rules: Sequence[GroupRule],
    peer: IPv4Network,
    peer_groups: Sequence[str],
    what: tuple[str, int],
) -> bool:
    """Whether any rule allows it."""
    return any(
        means(rule, *what)
        and (rule.group in peer_groups if rule.group else peer.subnet_of(rule.cidr or peer))
        for rule in rules
    )


def acl_allows(entries: Sequence[AclEntry], peer: IPv4Network, what: What) -> bool:
    """Whether the first entry that matches allows it."""
    for entry in sorted(entries, key=lambda entry: entry.rule_number):
        if means(entry, *what) and peer.subnet_of(entry.cidr):
            return entry.action == "allow"
    return False


def some_groups(chance: random.Random) -> tuple[SecurityGroup, ...]:
    """The three groups."""
    return tuple(
        SecurityGroup(name, ingress=some_rules(chance), egress=some_rules(chance))
        for name in GROUPS
    )
