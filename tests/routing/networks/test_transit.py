"""A transit gateway: transitive, by its own route tables, with one NAT gateway for all."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.lab import Lab
from testbed.load import load
from testbed.net.facts import NftElement, Rule
from testbed.networks.model import TransitRoute, TransitRouteTable

pytestmark = pytest.mark.kernel

HOST = "203.0.113.10"


@pytest.fixture(scope="module")
def lab(topologies: Path) -> Iterator[Bed]:
    """`topologies/transit.yaml`, up."""
    with bring_up(load(topologies / "transit.yaml")) as up:
        yield up


def test_every_pair_does_what_the_topology_expects(lab: Bed) -> None:
    for protocol in ("icmp", "http"):
        result = lab.matrix(protocol)
        assert (result.failed, result.inconclusive) == ((), ())


@pytest.mark.parametrize("source", ["app", "desk"])
def test_one_vpcs_nat_gateway_serves_another_and_the_office(lab: Bed, source: str) -> None:
    """Through a transit gateway a NAT gateway may have clients outside its VPC."""
    [gateway] = [eni for eni in lab.allocations.enis if eni.instance == "nat-a"]

    answer = lab.http(source, HOST).answer
    assert answer is not None
    assert answer["client"].startswith(f"{gateway.public_ip}:")


def test_what_comes_in_meets_the_table_of_the_attachments_subnet(lab: Bed) -> None:
    """Without that rule the packet meets no table in edge: it has no way to the NAT gateway."""
    rule = lab.fact(Rule, ns="vpc-edge", iif="tgw-hub")

    with lab.without(rule):
        assert not lab.briefly.tcp("app", HOST, 80).delivered
        assert lab.ping("app", "bastion").received == 1, "control: local needs no table"


def test_a_zone_without_a_subnet_of_the_attachment_sends_nothing(lab: Bed) -> None:
    """It is reached, but its replies die; the element of the set is what kills them."""
    element = lab.fact(NftElement, ns="vpc-apps", set="without-tgw-hub")

    assert lab.path("alone", "desk").code == "TGW_ROUTE_AZ_RESTRICTION"
    assert lab.briefly.ping("alone", "desk").received == 0
    with lab.without(element):
        assert lab.ping("alone", "desk").received == 1
    assert not lab.drift()


def test_another_vpcs_dns_server_does_not_answer(lab: Bed) -> None:
    assert lab.path("app", "10.0.0.2").code == "X_EDGE_TO_EDGE"
    assert lab.briefly.ping("app", "10.0.0.2").received == 0
    assert lab.ping("bastion", "10.0.0.2").received == 1, "control: its own VPC"


@pytest.mark.parametrize(
    ("routes", "code"),
    [
        ((), "TGW_RTB_NO_ROUTE_TO_TGW_ATTACHMENT"),
        ((("192.168.0.0/16", "blackhole"),), "TGW_RTB_BAD_STATE_ROUTE"),
    ],
)
def test_a_table_of_its_own_isolates_an_attachment(
    beds: Callable[[Lab], Bed],
    topologies: Path,
    routes: tuple[tuple[str, str], ...],
    code: str,
) -> None:
    """apps is associated with a table to which nobody propagates: it reaches nobody."""
    lab = load(topologies / "transit.yaml")
    [hub] = lab.transit_gateways
    edge, apps = hub.attachments
    static = tuple(TransitRoute(IPv4Network(to), target) for to, target in routes)
    isolated = replace(
        hub,
        attachments=(edge, replace(apps, route_table="isolated")),
        route_tables=(*hub.route_tables, TransitRouteTable("isolated", static)),
    )
    bed = beds(replace(lab, transit_gateways=(isolated,)))

    assert bed.path("app", "desk").code == code
    assert bed.briefly.ping("app", "desk").received == 0
    assert bed.ping("bastion", "desk").received == 1, "control: the other table"


def test_packets_have_8500_bytes_and_larger_ones_are_told(lab: Bed) -> None:
    """Transit Gateway Guide, "Quotas": MTU 8500 between VPCs."""
    address = str(lab.address("bastion"))

    assert (
        "1 received"
        in lab.run("app", "ping", "-M", "do", "-c1", "-W1", "-s", str(8500 - 28), address).stdout
    )
    too_big = lab.run("app", "ping", "-M", "do", "-c1", "-W1", "-s", str(8501 - 28), address)
    assert "From 10.1.1.1" in too_big.stdout
    assert "mtu = 8500" in too_big.stdout
