"""Prefix delegation: the VPC brings every address of a prefix to the ENI that has it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.eks.model import EksCluster
from testbed.lab import Lab
from testbed.load import load
from testbed.net.facts import Address, NftElement, Rule

pytestmark = pytest.mark.kernel

EDGES = ("web-0", "web-15", "web-16")  # the first and the last of a prefix, the first on eth1


@pytest.fixture(scope="module")
def lab(topologies: Path) -> Iterator[Bed]:
    """The lab of `topologies/prefix-delegation.yaml`, up."""
    with bring_up(load(topologies / "prefix-delegation.yaml")) as up:
        yield up


def test_every_pair_is_as_expected_and_nothing_drifts(lab: Bed) -> None:
    for protocol in ("icmp", "http"):
        found = lab.matrix(protocol)
        assert (found.ok, found.failed) == (19 * 18, ()), protocol
    assert not lab.drift()


def test_pods_fill_a_prefix_from_its_first_address_to_its_last(lab: Bed) -> None:
    prefix = IPv4Network("10.0.1.16/28")

    assert [lab.pod(f"web-{i}").ip for i in range(16)] == list(prefix)
    assert lab.pod("web-16").ip == IPv4Address("10.0.1.32")
    assert [lab.pod(name).device_index for name in EDGES] == [0, 0, 1]


@pytest.mark.parametrize("pod", EDGES)
def test_the_edges_of_a_prefix_are_addresses_like_others(lab: Bed, pod: str) -> None:
    """.16 and .31 are the network's own and its broadcast address only by their looks."""
    for source, destination in ((pod, "client"), ("client", pod)):
        assert lab.path(source, destination).delivered
        assert lab.ping(source, destination).received == 1


def test_a_node_has_no_address_of_its_prefixes(lab: Bed) -> None:
    """They are on no interface: as with secondary addresses, only routes lead to pods."""
    own = {fact.ip.ip for fact in lab.state if isinstance(fact, Address) and fact.ns == "node-1"}

    assert own == {IPv4Address("10.0.1.4"), IPv4Address("10.0.1.5")}


def test_a_pod_of_the_second_eni_s_prefix_leaves_by_that_eni(lab: Bed) -> None:
    """The rule is for the pod's address, not for its prefix."""
    rule = lab.fact(Rule, ns="node-1", priority=1536, src=IPv4Network("10.0.1.32/32"))

    assert lab.path("web-16", "client").hops[1].dev == "eth1"
    with lab.without(rule):
        assert lab.path("web-16", "client").hops[1].dev == "eth0"
        assert lab.briefly.ping("web-16", "client").received == 0


def test_the_source_check_knows_every_address_of_a_prefix(lab: Bed) -> None:
    """One whose entry is missing is dropped as anybody else's would be."""
    eni = next(eni for eni in lab.allocations.enis if eni.id and eni.instance == "node-1")
    element = f"{eni.mac} . {lab.pod('web-15').ip}"

    with lab.without(lab.fact(NftElement, set="assigned", element=element)):
        assert lab.briefly.ping("web-15", "client").received == 0
        assert lab.ping("web-14", "client").received == 1


def test_addresses_of_a_prefix_that_no_pod_has_are_brought_to_the_node(lab: Bed) -> None:
    """The VPC knows ENIs, not pods: the node is asked, and has no route to a pod."""
    path = lab.path("client", "10.0.1.47")

    assert [hop.ns for hop in path.hops[:4]] == ["client", "node-2", "vpc-main", "node-1"]
    assert lab.briefly.ping("client", "10.0.1.47").received == 0


@pytest.mark.parametrize("name", ["security", "hybrid"])
def test_whoever_knows_an_eni_s_addresses_knows_those_of_its_prefixes(
    beds: Callable[[Lab], Bed], topologies: Path, name: str
) -> None:
    """Rules that name a security group, and the gateway to an office."""
    plain = load(topologies / f"{name}.yaml")
    clusters = tuple(
        replace(one, env=replace(one.env, prefix_delegation=True))
        for one in plain.clusters
        if isinstance(one, EksCluster)
    )

    lab = beds(replace(plain, clusters=clusters))

    assert any(eni.prefixes for eni in lab.allocations.enis), "premise"
    found = lab.matrix("tcp")
    assert found.failed == ()
    assert found.ok > 0
