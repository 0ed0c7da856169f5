"""Peered VPCs: routes on both sides, nobody's peer's peer, nobody's gateways, one's own DNS."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.lab import Lab
from testbed.load import load
from testbed.net.facts import ANYWHERE, NftElement, Route
from testbed.networks.model import PeeringStatus

pytestmark = pytest.mark.kernel

HOST = "203.0.113.10"


@pytest.fixture(scope="module")
def lab(topologies: Path) -> Iterator[Bed]:
    """`topologies/peering.yaml`, up."""
    with bring_up(load(topologies / "peering.yaml")) as up:
        yield up


def with_status(lab: Lab, status: PeeringStatus) -> Lab:
    """The lab with another status of the peering with shared."""
    first, *others = lab.peerings
    return replace(lab, peerings=(replace(first, status=status), *others))


def test_every_pair_does_what_the_topology_expects(lab: Bed) -> None:
    for protocol in ("icmp", "http"):
        result = lab.matrix(protocol)
        assert (result.failed, result.inconclusive) == ((), ())


def test_a_peers_peer_is_no_peer(lab: Bed) -> None:
    """The routes are all there: shared refuses, because neither end is in its ranges."""
    path = lab.path("web-0", "theirs")

    assert path.code == "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR"
    assert path.hops[-1].ns == "vpc-shared"


def test_without_that_check_the_packet_has_still_nowhere_to_go(lab: Bed) -> None:
    """What comes by a peering meets no route table of the VPC in the middle."""
    links = [f for f in lab.state if isinstance(f, NftElement) and f.set == "links"]
    shared = [link for link in links if link.ns == "vpc-shared"]

    with lab.without(*shared):
        assert lab.briefly.ping("web-0", "theirs").received == 0
        assert lab.ping("web-0", "tools").received == 1, "control"


def test_a_peers_internet_gateway_is_not_for_us(lab: Bed) -> None:
    """Edge to edge routing through a peer: tools gets out, partner by way of it does not."""
    way = next(
        f for f in lab.state if isinstance(f, Route) and f.ns == "vpc-partner" and "pcx" in f.dev
    )
    everything = replace(way, dst=ANYWHERE)

    lab.change(lab.state | {everything})
    try:
        assert lab.http("tools", HOST).delivered, "control: shared has an internet gateway"
        assert not lab.briefly.tcp("theirs", HOST, 80).delivered
    finally:
        lab.change(lab.state)
    assert not lab.drift()


def test_a_peers_dns_server_does_not_answer(lab: Bed) -> None:
    assert lab.ping("tools", "10.1.0.2").received == 1, "control: in its own VPC it is there"
    assert lab.briefly.ping("theirs", "10.1.0.2").received == 0
    assert lab.path("theirs", "10.1.0.2").code == "X_EDGE_TO_EDGE"


def test_without_a_route_back_nothing_is_answered(lab: Bed) -> None:
    """Routes are needed on both sides: the request arrives, the reply has no way."""
    [back] = [
        f
        for f in lab.state
        if isinstance(f, Route) and f.ns == "vpc-shared" and str(f.dst) == "10.0.0.0/16"
    ]

    with lab.without(back):
        assert lab.path("web-0", "tools").delivered
        assert lab.path("tools", "web-0").code == "IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS"
        assert lab.briefly.ping("web-0", "tools").received == 0


def test_the_default_setting_shows_the_peer_a_node_and_no_pod(lab: Bed) -> None:
    """SNAT: a peer's range is not the VPC's."""
    node = str(lab.address("node-1"))
    for pod in ("web-0", "web-3"):
        answer = lab.http(pod, "tools").answer
        assert answer is not None
        assert answer["client"].startswith(f"{node}:")


@pytest.mark.parametrize("status", ["deleted", "pending-acceptance"])
def test_routes_to_a_peering_that_is_gone_are_blackholes(
    beds: Callable[[Lab], Bed], topologies: Path, status: PeeringStatus
) -> None:
    """They still win: the packet is dropped, it does not fall to the default route."""
    bed = beds(with_status(load(topologies / "peering.yaml"), status))

    assert bed.path("web-0", "tools").code == "BAD_STATE_ROUTE"
    assert bed.briefly.ping("web-0", "tools").received == 0
    assert bed.path("tools", "web-0").code == "BAD_STATE_ROUTE"
    assert bed.http("web-0", HOST).delivered, "control: other routes work"
