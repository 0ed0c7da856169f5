"""Custom networking: pods in other subnets than their node; eth0 carries none of them."""

from collections.abc import Iterator
from ipaddress import IPv4Network
from itertools import permutations
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.load import load
from testbed.net.facts import Rule

pytestmark = pytest.mark.kernel

HOST = "203.0.113.10"


@pytest.fixture(scope="module")
def lab(topologies: Path) -> Iterator[Bed]:
    """The lab of `topologies/custom-networking.yaml`, up."""
    with bring_up(load(topologies / "custom-networking.yaml")) as up:
        yield up


def test_every_pair_is_as_expected_and_nothing_drifts(lab: Bed) -> None:
    for protocol in ("icmp", "tcp", "http"):
        found = lab.matrix(protocol)
        assert (found.ok, found.failed) == (30, ()), protocol
    assert not lab.drift()


def test_what_path_says_of_every_pair_is_what_a_ping_finds(lab: Bed) -> None:
    pods = [place.pod for place in lab.allocations.pods if not place.host_network]

    for source, destination in permutations(pods, 2):
        there, back = lab.path(source, destination), lab.path(destination, source)
        assert there.delivered, (source, destination)
        assert back.delivered, (source, destination)
        assert lab.ping(source, destination).received == 1


def test_pods_talk_to_the_vpc_from_their_own_subnet_by_its_eni(lab: Bed) -> None:
    """The router knows no node in it: only pods' ENIs are in pods-a."""
    path = lab.path("web-3", "client")

    assert [(hop.ns, hop.dev) for hop in path.hops[:3]] == [
        ("web-3", "eth0"),
        ("node-1", "eth2"),
        ("vpc-main", "pods-b"),
    ]
    seen = lab.http("client", "web-0").answer
    assert seen is not None
    assert seen["client"].startswith(f"{lab.pod('client').ip}:")


def test_without_rule_1536_they_would_leave_by_eth0_and_be_dropped(lab: Bed) -> None:
    """eth0 is in another subnet, and has none of their addresses."""
    rule = lab.fact(Rule, ns="node-1", priority=1536, src=IPv4Network(lab.pod("web-0").ip))

    with lab.without(rule):
        assert lab.path("web-0", "client").hops[1].dev == "eth0"
        assert lab.briefly.ping("web-0", "client").received == 0
    assert lab.ping("web-0", "client").received == 1


def test_to_the_outside_they_are_their_node_by_eth0(lab: Bed) -> None:
    """So the route table of the node's subnet applies, not that of the pods'."""
    path = lab.path("web-0", HOST)

    assert (path.hops[1].dev, path.hops[1].rule[:5]) == ("eth0", "1024:")
    assert path.delivered
    [gateway] = [eni for eni in lab.allocations.enis if eni.instance == "nat-a"]
    seen = lab.http("web-0", HOST).answer
    assert seen is not None
    assert seen["client"].startswith(f"{gateway.public_ip}:")


def test_a_node_and_its_pods_meet_though_their_subnets_differ(lab: Bed) -> None:
    """From the node itself by rule 512; the answer finds the node's address in table local."""
    assert lab.ping("node-1", "web-3").received == 1
    assert lab.http("node-1", "client").answer is not None


def test_pods_have_the_security_groups_of_their_eniconfig(lab: Bed) -> None:
    """The group `pods` lets nodes in on port 80 alone; the nodes' own lets no pod in."""
    assert lab.briefly.ping("node-1", "client").received == 0
    assert lab.briefly.ping("client", "node-1").received == 0
    assert lab.ping("client", "web-3").received == 1
    assert "pods" in str(lab.path("node-1", "client"))
