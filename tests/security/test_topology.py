"""Whole labs with groups: `topologies/security.yaml`, and the EKS lab with its gateways."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.lab import Lab
from testbed.lab.checks import check
from testbed.load import load
from testbed.net.facts import NftElement
from testbed.vpc.security.model import SecurityGroup

pytestmark = pytest.mark.kernel

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
OUTSIDE = "203.0.113.10"


@pytest.fixture(scope="module")
def security() -> Iterator[Bed]:
    with bring_up(load(TOPOLOGIES / "security.yaml")) as up:
        yield up


@pytest.fixture(scope="module")
def eks() -> Iterator[Bed]:
    """The EKS lab, in which every interface has the group that AWS would give it."""
    lab = load(TOPOLOGIES / "eks.yaml")
    with_groups = replace(lab.vpcs[0], security_groups=(SecurityGroup("default"),))
    with bring_up(check(replace(lab, vpcs=(with_groups,)))) as up:
        yield up


@pytest.mark.parametrize("protocol", ["tcp", "icmp"])
def test_every_pair_does_what_the_topology_says(security: Bed, protocol: str) -> None:
    found = security.matrix(protocol)  # type: ignore[arg-type]

    assert found.failed == ()
    assert found.inconclusive == ()
    assert not security.drift()


def test_the_internet_reaches_what_a_prefix_list_lets_in(security: Bed) -> None:
    [bastion] = [eni for eni in security.allocations.enis if eni.instance == "bastion"]

    assert security.tcp("internet", str(bastion.public_ip), 7).delivered
    assert not security.briefly.tcp("internet", str(bastion.public_ip), 80).delivered


def test_path_says_who_forbids_it(security: Bed) -> None:
    forbidden = {
        ("client", "db"): "rule * of network ACL data, inbound",
        ("bastion", "db"): "rule 90 of network ACL data, inbound",
        ("db", "web-0"): "no outbound rule of security group db allows it",
        ("web-0", "client"): "no inbound rule of security group eks-cluster-sg-eks allows it",
    }
    for (source, destination), who in forbidden.items():
        assert who in security.path(source, destination).verdict


def test_a_removed_element_is_drift_and_is_healed(security: Bed) -> None:
    """The membership is a fact like any other: without it the group's rule is for nobody."""
    web_0 = str(security.address("web-0"))
    member = security.fact(NftElement, ns="vpc-main", set="members/web", element=web_0)

    with security.without(member):
        assert not security.briefly.tcp("web-0", "db", 7).delivered
        assert member in security.drift().missing
    assert security.tcp("web-0", "db", 7).delivered


def test_the_cluster_group_lets_a_whole_cluster_work(eks: Bed) -> None:
    """Pods of all nodes, out through the NAT gateways, and in by the load balancer."""
    assert eks.matrix("http").failed == ()
    assert eks.http("web-4", OUTSIDE).delivered

    [balancer] = [eni for eni in eks.allocations.enis if eni.instance == "elb-web-us-west-2a"]
    assert eks.http("internet", str(balancer.public_ip)).delivered


def test_a_load_balancer_needs_the_rule_that_kubernetes_makes_in_the_nodes_group(
    eks: Bed,
) -> None:
    """All protocols from the load balancer's group; nobody else gets in."""
    assert eks.tcp("elb-web-us-west-2a", "web-0", 80).delivered
    assert not eks.briefly.tcp("nat-a", "web-0", 80).delivered

    [balancer] = [eni for eni in eks.allocations.enis if eni.instance == "elb-web-us-west-2a"]
    rule = [
        fact
        for fact in eks.state
        if isinstance(fact, NftElement)
        and fact.set.startswith("members/k8s-elb-")
        and fact.element == str(balancer.primary)
    ]
    with eks.without(*rule):
        assert not eks.briefly.tcp("elb-web-us-west-2a", "web-0", 80).delivered


def test_without_groups_a_lab_is_planned_without_any(beds: Callable[[Lab], Bed]) -> None:
    """The default is the lab of before: no tracking, no maps, and no chain to pass."""
    lab = load(TOPOLOGIES / "eks-slides.yaml")
    bed = beds(lab)

    filters = bed.run("vpc-main", "nft", "list", "table", "ip", "vpc").stdout
    assert "chain output" in filters
    assert not [word for word in ("forward", "security-groups", "ct ") if word in filters]
