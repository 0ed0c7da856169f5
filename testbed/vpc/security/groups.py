"""Security groups as nft: who an ENI may talk with, in as many look-ups as one rule would take.

Of a packet that is new to an ENI the router asks three maps: which groups the ENI has, what they
allow on the port, and whether the peer is one of those.  For node-2 with the group `web`:

    security-groups-in  rt ip nexthop vmap @receivers               10.0.2.4 : jump in/web
    in/web              meta l4proto . th dport vmap @in/web/ports  tcp . 80 : goto in/web/tcp/80
    in/web/tcp/80       ip saddr @in/web/tcp/80 goto tracked-in

Connections are tracked for each ENI apart: a bit of the connection's mark for the ENI that began
it, one for the ENI that answers.  An ENI that does not track it judges each of its packets.
"""

from collections.abc import Iterable, Iterator, Mapping

from testbed.net.facts import Fact, NftElement, NftSet
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.eni import port
from testbed.vpc.model import Vpc
from testbed.vpc.naming import router
from testbed.vpc.security import tracking
from testbed.vpc.security.model import ELSEWHERE
from testbed.vpc.security.permissions import (
    OPPOSITE,
    Allowed,
    Direction,
    allowed,
    rules_of,
)
from testbed.vpc.security.profiles import ALWAYS_TRACKED, FAMILY, TABLE, Profile, element, profile

# The groups of each instance's ENIs, in the topology's order; who is not there has none.  An ENI
# that has others than its instance is there too, as `node-1/1`.
Memberships = Mapping[str, tuple[str, ...]]


def group_facts(
    vpc: Vpc, enis: Iterable[Eni], groups: Memberships, peers: Iterable[Eni] = ()
) -> Iterator[Fact]:
    """The security groups of a VPC's ENIs; nothing for a VPC that describes none.

    peers: the ENIs of other VPCs whose groups may be named as `VPC/GROUP`.
    """
    if not vpc.security_groups:
        return
    ns, enis = router(vpc.name), tuple(enis)
    members = [(eni, of) for eni in enis if (of := groups_of(eni, groups))]
    carried = {profile(of): tuple(sorted(of)) for _, of in members}
    yield from _interfaces(ns, members, carried)
    yield from _members(ns, vpc, members)
    yield from _members_elsewhere(ns, vpc, [(eni, groups_of(eni, groups)) for eni in peers])
    yield from _always_tracked(ns, enis)
    yield from tracking.facts(ns)
    known = {group.name: group for group in vpc.security_groups}
    lists = {one.name: one for one in vpc.prefix_lists}
    for of in carried.values():
        both: dict[Direction, tuple[Allowed, ...]] = {
            direction: allowed([known[group] for group in of], direction, lists)
            for direction in OPPOSITE
        }
        for direction, rules in both.items():
            yield from Profile(ns, of, direction).facts(rules, both[OPPOSITE[direction]])


def groups_of(eni: Eni, groups: Memberships) -> tuple[str, ...]:
    """The groups of an ENI: its own, or those of its instance."""
    own = groups.get(f"{eni.instance}/{eni.device_index}")
    return own or groups.get(eni.instance, ())


def _interfaces(
    ns: str, members: list[tuple[Eni, tuple[str, ...]]], profiles: Mapping[str, tuple[str, ...]]
) -> Iterator[Fact]:
    """Which groups the ENI has that a packet comes from, and the one it is for.

    The sender is known by its port, while the frame is in the subnet's bridge, and goes on as a
    number in the packet's mark; the receiver is whoever has the next hop of the packet's route.
    """
    yield NftSet(
        ns=ns,
        family="bridge",
        table=TABLE,
        name="groups",
        key_type="ifname",
        value_type="mark",
        why="the security groups of the ENI behind a port, as a mark",
    )
    for name, key in (("senders", "mark"), ("receivers", "ipv4_addr")):
        yield NftSet(
            ns=ns, family=FAMILY, table=TABLE, name=name, key_type=key, value_type="verdict"
        )
    numbers = {name: f"0x{tracking.groups_mark(i):08x}" for i, name in enumerate(sorted(profiles))}
    for name, number in numbers.items():
        why = f"ENIs with {', '.join(profiles[name])}"
        yield element(ns, "senders", number, f"jump out/{name}", why)
    for eni, of in members:
        why = f"{eni.id} of {eni.instance} has {', '.join(of)}"
        yield NftElement(
            ns=ns,
            family="bridge",
            table=TABLE,
            set="groups",
            element=f'"{port(eni)}"',
            value=numbers[profile(of)],
            why=why,
        )
        yield element(ns, "receivers", str(eni.primary), f"jump in/{profile(of)}", why)


def _members(ns: str, vpc: Vpc, members: list[tuple[Eni, tuple[str, ...]]]) -> Iterator[Fact]:
    """The addresses that each group stands for where a rule names it."""
    for group in vpc.security_groups:
        name = f"members/{group.name}"
        yield NftSet(ns=ns, family=FAMILY, table=TABLE, name=name, key_type="ipv4_addr")
        for eni, of in members:
            if group.name in of:
                why = f"a private address of {eni.instance}, whose {eni.id} has {group.name}"
                for address in eni.delivered:
                    yield element(ns, name, str(address), "", why)


def _members_elsewhere(
    ns: str, vpc: Vpc, carried: list[tuple[Eni, tuple[str, ...]]]
) -> Iterator[Fact]:
    """The same for the groups of peered VPCs that rules name."""
    rules = [
        rule for group in vpc.security_groups for way in OPPOSITE for rule in rules_of(group, way)
    ]
    for named in sorted({rule.group for rule in rules if ELSEWHERE in rule.group}):
        other, _, name = named.partition(ELSEWHERE)
        into = f"members/{named}"
        yield NftSet(ns=ns, family=FAMILY, table=TABLE, name=into, key_type="ipv4_addr")
        for eni, of in carried:
            if eni.vpc == other and name in of:
                why = f"a private address of {eni.instance}, whose {eni.id} has {named}"
                for address in eni.delivered:
                    yield element(ns, into, str(address), "", why)


def _always_tracked(ns: str, enis: Iterable[Eni]) -> Iterator[Fact]:
    why = "connections through it are tracked automatically (VPC User Guide)"
    yield NftSet(
        ns=ns, family=FAMILY, table=TABLE, name=ALWAYS_TRACKED, key_type="ipv4_addr", why=why
    )
    for eni in enis:
        if eni.interface_type in ("nat_gateway", "network_load_balancer"):
            yield element(ns, ALWAYS_TRACKED, str(eni.primary), "", why)
