"""What peered VPCs of one region know of each other: security groups, and names."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.load import parse
from testbed.net.facts import NftElement

pytestmark = pytest.mark.kernel

LAB = """
testbed: v1
name: peered
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets: { main-a: { cidr: 10.0.1.0/24, availabilityZone: us-west-2a } }
    routeTables: { main: { 10.8.0.0/16: pcx, 0.0.0.0/0: internet-gateway } }
    securityGroups:
      web: { ingress: [{ protocol: tcp, ports: 80, group: shared/tools }] }
    instances: { web: { subnet: main-a, publicIp: true, securityGroups: [web] } }
  shared:
    cidrs: [10.8.0.0/16]
    subnets: { shared-a: { cidr: 10.8.1.0/24, availabilityZone: us-west-2b } }
    routeTables: { main: { 10.0.0.0/16: pcx, 0.0.0.0/0: internet-gateway } }
    securityGroups: { tools: , others: }
    instances:
      tool: { subnet: shared-a, publicIp: true, securityGroups: [tools] }
      other: { subnet: shared-a, securityGroups: [others] }
peerings:
  pcx:
    requester: main
    accepter: shared
    requesterPeeringConnectionOptions: { allowDnsResolutionFromRemoteVpc: true }
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Bed]:
    """Two VPCs; the group of one lets a group of the other in."""
    with bring_up(parse(LAB, "peered.yaml")) as up:
        yield up


def test_a_rule_names_a_peers_group(lab: Bed) -> None:
    """It stands for the private addresses of the interfaces there that carry the group."""
    assert lab.tcp("tool", "web", 80).delivered
    assert not lab.briefly.tcp("other", "web", 80).delivered
    assert lab.path("other", "web").code == "ENI_SG_RULES_MISMATCH"


def test_the_element_of_its_set_is_what_lets_it_in(lab: Bed) -> None:
    element = lab.fact(NftElement, ns="vpc-main", set="members/shared/tools")
    assert element.element == str(lab.address("tool"))

    with lab.without(element):
        assert not lab.briefly.tcp("tool", "web", 80).delivered
    assert lab.tcp("tool", "web", 80).delivered


def test_a_rule_for_the_group_of_a_vpc_that_is_no_peer_any_more_lets_nobody_in(lab: Bed) -> None:
    """AWS calls it stale, and keeps it."""
    [peering] = lab.lab.peerings
    whole = lab.lab

    lab.up(replace(whole, peerings=(replace(peering, status="deleted"),)))
    try:
        found = [fact for fact in lab.state if isinstance(fact, NftElement)]
        assert [one for one in found if one.set == "members/shared/tools"] == []
        assert not lab.drift()
    finally:
        lab.up(whole)
    assert lab.tcp("tool", "web", 80).delivered


def test_names_across_a_peering_stand_for_private_addresses_if_it_says_so(lab: Bed) -> None:
    """The requester's side does, the accepter's does not."""
    private = {eni.instance: str(eni.primary) for eni in lab.allocations.enis}
    public = {eni.instance: str(eni.public_ip) for eni in lab.allocations.enis}
    names = {
        place: f"ec2-{public[place].replace('.', '-')}.us-west-2.compute.amazonaws.com"
        for place in ("web", "tool")
    }

    assert found(lab, "other", names["web"]) == private["web"]
    assert found(lab, "web", names["tool"]) == public["tool"]
    assert found(lab, "internet", names["web"]) == public["web"]


def found(lab: Bed, place: str, name: str) -> str:
    """The address a name has there."""
    answer = lab.run(place, "getent", "ahostsv4", name).stdout.split()
    return answer[0] if answer else ""
