"""A lab's ENIs and public addresses, and what is kept from one `up` to the next."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from testbed.allocations import Allocations, allocate, from_json, to_json
from testbed.eks.model import EksCluster
from testbed.errors import AwsError
from testbed.kubernetes.model import Node, Pod
from testbed.lab import Lab
from testbed.vpc.eni import Eni
from testbed.vpc.model import NatGateway, Subnet, Vpc

PUBLIC = Subnet("public", IPv4Network("10.0.0.0/24"), "z1", map_public_ip_on_launch=True)
PRIVATE = Subnet("private", IPv4Network("10.0.1.0/24"), "z1")
MAIN = Vpc(
    "main",
    (IPv4Network("10.0.0.0/16"),),
    (PUBLIC, PRIVATE),
    nat_gateways=(NatGateway("nat-a", "public"),),
)


def lab(*nodes: Node, pods: tuple[Pod, ...] = (), vpc: Vpc = MAIN) -> Lab:
    return Lab("test", (vpc,), (EksCluster("eks", "main", nodes, pods),))


def primary(found: Allocations, instance: str) -> Eni:
    [eni] = [eni for eni in found.enis if (eni.instance, eni.device_index) == (instance, 0)]
    return eni


def test_a_nat_gateway_has_an_unchecked_eni_with_a_public_address():
    eni = primary(allocate(lab()), "nat-a")

    assert eni.primary == IPv4Address("10.0.0.4")
    assert eni.public_ip == IPv4Address("192.0.2.4")
    assert (eni.interface_type, eni.source_dest_check) == ("nat_gateway", False)


def test_a_nat_gateway_s_namespace_says_what_it_is():
    vpc = replace(MAIN, nat_gateways=(NatGateway("a", "public"),))

    assert [eni.instance for eni in allocate(lab(vpc=vpc)).enis] == ["nat-a"]


def test_a_node_of_a_public_subnet_has_a_public_address():
    found = allocate(lab(Node("n1", "public", "t3.small"), Node("n2", "private", "t3.small")))

    assert primary(found, "n1").public_ip is not None
    assert primary(found, "n2").public_ip is None


def test_only_the_primary_eni_has_it():
    found = allocate(lab(Node("n1", "public", "t3.small"), pods=(Pod("p"),)))

    assert [eni.public_ip is not None for eni in found.enis if eni.instance == "n1"] == [
        True,
        False,
    ]


def test_a_node_s_own_address_is_not_given_to_a_node_before_it():
    second = Node("n2", "private", "t3.small", private_ip=IPv4Address("10.0.1.4"))

    found = allocate(lab(Node("n1", "private", "t3.small"), second))

    assert primary(found, "n1").primary == IPv4Address("10.0.1.5")
    assert primary(found, "n2").primary == IPv4Address("10.0.1.4")


def test_an_address_two_nodes_want_is_refused_with_aws_s_words():
    same = IPv4Address("10.0.1.9")
    nodes = [Node(name, "private", "t3.small", private_ip=same) for name in ("n1", "n2")]

    with pytest.raises(AwsError, match=r"Address 10.0.1.9 is in use. \(InvalidIPAddress.InUse\)"):
        allocate(lab(*nodes))


def test_switching_the_source_check_off_changes_nothing_else():
    node = Node("n1", "private", "t3.small")
    before = allocate(lab(node, pods=(Pod("p"),)))

    after = allocate(lab(replace(node, source_dest_check=False), pods=(Pod("p"),)), before)

    assert not primary(after, "n1").source_dest_check
    assert replace(primary(after, "n1"), source_dest_check=True) == primary(before, "n1")
    assert after.pods == before.pods


def test_a_node_that_is_gone_gives_everything_back():
    one, two = Node("n1", "private", "t3.small"), Node("n2", "private", "t3.small")
    both = allocate(lab(one, two))

    after = allocate(lab(two), both)

    assert {eni.instance for eni in after.enis} == {"n2", "nat-a"}
    assert primary(after, "n2") == primary(both, "n2")
    assert allocate(lab(one, two), after) == both


def test_a_node_that_moves_to_another_subnet_starts_anew():
    before = allocate(lab(Node("n1", "private", "t3.small"), pods=(Pod("p"),)))

    after = allocate(lab(Node("n1", "public", "t3.small"), pods=(Pod("p"),)), before)

    assert {eni.subnet for eni in after.enis if eni.instance == "n1"} == {"public"}
    assert after.pods[0].ip in PUBLIC.cidr


def test_a_smaller_instance_type_keeps_what_it_can_hold():
    pods = Pod.replicas("p", 9)
    before = allocate(lab(Node("n1", "private", "t3.small"), pods=pods))

    after = allocate(lab(Node("n1", "private", "t3.nano"), pods=pods), before)

    assert max(eni.device_index for eni in after.enis) == 1
    assert all(len(eni.addresses) <= 2 for eni in after.enis if eni.instance == "n1")


def test_two_vpcs_may_use_the_same_names_and_addresses():
    other = replace(MAIN, name="other", nat_gateways=())
    clusters = tuple(
        EksCluster(vpc, vpc, (Node(f"{vpc}-1", "private", "t3.small"),), (Pod(f"{vpc}-p"),))
        for vpc in ("main", "other")
    )

    found = allocate(Lab("test", (MAIN, other), clusters))

    assert [str(pod.ip) for pod in found.pods] == ["10.0.1.5", "10.0.1.5"]
    assert len({eni.id for eni in found.enis}) == len(found.enis)


def test_allocations_survive_being_stored():
    nodes = [Node("n1", "public", "t3.small", max_pods=3)]
    pods = (Pod("h", host_network=True), Pod("waits"))
    found = allocate(lab(*nodes, pods=pods))
    assert found.pending, "premise"

    assert from_json(to_json(found)) == found
