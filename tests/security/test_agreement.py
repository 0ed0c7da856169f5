"""What is predicted of groups and ACLs is what the guide says, and what real packets do."""

import random
from collections.abc import Callable
from ipaddress import IPv4Network
from itertools import permutations
from typing import Any

import pytest

from testbed.allocations import allocate
from testbed.bed import Bed
from testbed.explain.journey import Header, NetfilterStep, Protocol
from testbed.explain.walk.predict import predict
from testbed.explain.walk.world import World
from testbed.net.facts import IpAddress, NftChain
from testbed.plan import plan
from testbed.vpc.security.model import GroupRule, Range, SecurityGroup
from tests.security.by_the_book import GROUPS, acl_allows, group_allows, some_acl, some_groups
from tests.security.conftest import CALLER, SUBNETS, lab, predicted

PROBES: tuple[tuple[Protocol, int], ...] = (("tcp", 80), ("tcp", 7), ("udp", 7), ("icmp", 0))
REAL_PROBES = tuple(one for one in PROBES if one[0] != "udp")
ECHO_REQUEST, ECHO_REPLY = 8 * 256, 0


def described(seed: int) -> dict[str, Any]:
    """A random lab: groups of its pods, and ACLs of its subnets."""
    chance = random.Random(seed)
    return {
        "groups": some_groups(chance),
        "nodes": {pod: tuple(chance.sample(GROUPS, chance.randint(1, 2))) for pod in SUBNETS},
        "acls": {name: some_acl(chance, f"acl-{name}") for name in "ab" if chance.random() < 0.4},
    }


def by_the_book(
    of: dict[str, Any], ends: tuple[str, str], own: tuple[IpAddress, IpAddress], what: Any
) -> bool:
    """Whether a packet and its answer pass, said rule by rule."""
    protocol, port = what
    groups = {group.name: group for group in of["groups"]}
    networks = [IPv4Network(str(address)) for address in own]
    asked = (protocol, ECHO_REQUEST if protocol == "icmp" else port)
    answer = (protocol, ECHO_REPLY if protocol == "icmp" else CALLER)
    for i, side in ((0, "egress"), (1, "ingress")):
        rules = [
            rule for name in of["nodes"][ends[i]] for rule in getattr(groups[name], side) or ()
        ]
        if not group_allows(rules, networks[1 - i], of["nodes"][ends[1 - i]], asked):
            return False
    subnets = [SUBNETS[end] for end in ends]
    if subnets[0] == subnets[1]:
        return True
    for i, packet in ((0, asked), (1, answer)):
        for j, side in ((i, "egress"), (1 - i, "ingress")):
            acl = of["acls"].get(subnets[j])
            if acl and not acl_allows(getattr(acl, side), networks[1 - j], packet):
                return False
    return True


@pytest.mark.parametrize("seed", range(40))
def test_predictions_are_what_the_guide_says(seed: int) -> None:
    of = described(seed)
    made = lab(**of)
    allocations = allocate(made)
    world = World.planned(plan(made, allocations))
    own = {placed.pod: placed.ip for placed in allocations.pods}
    for ends in permutations(SUBNETS, 2):
        addresses = own[ends[0]], own[ends[1]]
        for protocol, port in PROBES:
            header = Header(
                protocol=protocol,
                source=addresses[0],
                destination=addresses[1],
                source_port=0 if protocol == "icmp" else CALLER,
                destination_port=port,
            )
            [trip] = predict(world, ends[0], header)
            arrived = trip.there.end.delivered and (trip.back is None or trip.back.end.delivered)

            assert arrived == by_the_book(of, ends, addresses, (protocol, port)), (ends, header)


@pytest.mark.kernel
@pytest.mark.parametrize("seed", [1, 3, 8, 21])
def test_real_packets_do_what_is_predicted(become: Callable[..., Bed], seed: int) -> None:
    bed = become(**described(seed))

    for source, to in permutations(SUBNETS, 2):
        for protocol, port in REAL_PROBES:
            said = predicted(bed, source, bed.address(to), protocol, port)
            asking = bed if said == "delivered" else bed.briefly
            found = (
                bool(asking.ping(source, to).received)
                if protocol == "icmp"
                else asking.tcp(source, to, port).delivered
            )
            assert found == (said == "delivered"), (source, to, protocol, port, said)


def rules_met(groups: tuple[SecurityGroup, ...]) -> int:
    """How many rules are in all the chains that a packet from a-1 to b-1 goes through."""
    of = tuple(group.name for group in groups)
    made = lab(groups=groups, nodes=dict.fromkeys(SUBNETS, of))
    allocations = allocate(made)
    state = plan(made, allocations)
    own = {placed.pod: placed.ip for placed in allocations.pods}
    header = Header(
        protocol="tcp",
        source=own["a-1"],
        destination=own["b-1"],
        source_port=CALLER,
        destination_port=443,
    )
    [trip] = predict(World.planned(state), "a-1", header)
    assert trip.there.end.delivered
    steps = [step for visit in trip.there.visits for step in visit.steps]
    rules = [step for step in steps if isinstance(step, NetfilterStep) and step.table == "vpc"]
    chains = {rule.chain for rule in rules}
    sizes = {
        fact.name: len(fact.rules)
        for fact in state
        if isinstance(fact, NftChain) and fact.family == "ip" and fact.ns == "vpc-main"
    }
    return sum(sizes.get(chain, 0) for chain in chains)


def test_a_packet_meets_as_many_rules_with_three_hundred_as_with_one() -> None:
    """Five groups of sixty rules, the most that an interface has: maps and sets, not lists."""

    def group(number: int, count: int) -> SecurityGroup:
        rules = tuple(
            GroupRule(
                protocol="tcp", ports=Range(443, 443 + i), cidr=IPv4Network(f"10.{i}.0.0/16")
            )
            for i in range(count)
        )
        return SecurityGroup(f"group-{number}", ingress=rules)

    assert rules_met(tuple(group(i, 60) for i in range(5))) == rules_met((group(0, 1),))
