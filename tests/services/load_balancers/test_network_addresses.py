"""A Network Load Balancer's own addresses, subnets and names."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from testbed.allocations import allocate
from testbed.eks.model import EksCluster
from testbed.errors import AwsError
from testbed.kubernetes.load_balancers.annotations import PREFIX
from testbed.kubernetes.model import Node
from testbed.lab import Lab
from testbed.lab.checks import problems
from testbed.services.load_balancers import balancers
from testbed.services.load_balancers.naming import dns_name
from testbed.vpc.fabric.metadata import identifier
from tests.services.load_balancers.network import NODES, PODS, VPC, ZONE_A, ZONE_B, lab, service


def test_its_name_is_in_another_domain_than_a_classic_ones() -> None:
    """The region comes behind `elb`, and an internal one has no prefix."""
    names = [
        dns_name("eks", service(**how), "us-west-2")
        for how in ({}, {"internal": "true"}, {"type": "external"})
    ]

    assert all(name.endswith(".elb.us-west-2.amazonaws.com") for name in names)
    assert names[0] == names[1]
    assert names[2].startswith("k8s-default-web-")


def test_its_addresses_can_be_chosen() -> None:
    web = service(type="external", private_ipv4_addresses="10.0.1.9, 10.0.2.9")

    assert [*problems(lab(web))] == []
    found = {eni.instance: str(eni.primary) for eni in allocate(lab(web)).enis}
    assert (found[ZONE_A], found[ZONE_B]) == ("10.0.1.9", "10.0.2.9")


@pytest.mark.parametrize(
    ("addresses", "told"),
    [
        ("10.0.1.9", 'expected one address in 10.0.2.0/24 of subnet "private-b", found 0'),
        ("10.0.1.9, 10.0.1.10, 10.0.2.9", 'of subnet "private-a", found 2'),
        ("10.0.1.9, 10.0.2.9, 10.0.3.9", "an address for each of 2 subnets, found 3"),
        ("10.0.1.9, 10.0.2.2", "Address 10.0.2.2 is in subnet's reserved address range"),
        ("10.0.1.9, b", 'expected addresses such as "10.0.1.9, 10.0.2.9"'),
    ],
)
def test_they_are_one_in_each_of_its_subnets(addresses: str, told: str) -> None:
    web = service(type="external", private_ipv4_addresses=addresses)

    found = [*problems(lab(web))]

    assert told in found[0].message
    assert found[0].key.endswith(f'annotations["{PREFIX}private-ipv4-addresses"]')


def test_a_subnet_needs_eight_free_addresses_for_it() -> None:
    """Elastic Load Balancing's refusal; a /28 has eleven."""
    taken = tuple(Node(f"taken-{i}", "public-a", "t3.small") for i in range(4))
    small = replace(VPC.subnets[0], cidr=IPv4Network("10.0.101.0/28"))
    narrow = replace(VPC, subnets=(small, *VPC.subnets[1:]))
    cluster = EksCluster("eks", "main", (*NODES, *taken), PODS, services=(service(),))

    with pytest.raises(AwsError, match="ELB requires at least 8 free IP addresses"):
        allocate(Lab("test", (narrow,), (cluster,)))
    assert allocate(lab(service(), narrow))


def test_its_address_stays_when_nodes_come_and_go() -> None:
    """One fixed address in each zone (Network Load Balancers, "Availability Zones")."""
    before = allocate(lab(service()))
    more = (*NODES, Node("node-0", "public-a", "t3.small"))
    cluster = EksCluster("eks", "main", more, PODS, services=(service(),))
    after = allocate(Lab("test", (VPC,), (cluster,)), before)

    [address] = [eni.primary for eni in after.enis if eni.instance == ZONE_A]
    assert address == IPv4Address("10.0.101.4")


def test_its_subnets_name_and_elastic_addresses_are_chosen() -> None:
    """By name or by id; a zone that is named has one whether it has nodes or not."""
    ids = f"{identifier('subnet', 'main', 'private-b')}, private-a"
    web = service(type="external", subnets=ids, name="shop")

    made = balancers(VPC, NODES[:1], (web,))

    assert [(one.zone, one.subnet.name) for one in made] == [
        ("us-west-2b", "private-b"),
        ("us-west-2a", "private-a"),
    ]
    assert dns_name("eks", web, "us-west-2").startswith("shop-")


def test_there_is_an_elastic_address_for_each_subnet() -> None:
    facing = {"type": "external", "scheme": "internet-facing"}

    [problem] = problems(lab(service(**facing, eip_allocations="eipalloc-1")))

    assert "number of EIP allocations (1) and subnets (2) must match" in problem.message
    assert list(problems(lab(service(**facing, eip_allocations="eipalloc-1, eipalloc-2")))) == []
