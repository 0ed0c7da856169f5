"""A kops node of today: pods on links of their own, and kops' own chain for what leaves."""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.kops.model import KopsCluster
from testbed.kubernetes.model import Service, ServicePort
from testbed.load import load
from testbed.net.facts import Route
from tests.routing.cni.conftest import Explain
from tests.routing.cni.conftest import explain as explain
from tests.routing.cni.conftest import observer as observer

pytestmark = pytest.mark.kernel

OWN = "100.64.7.7"  # a Service whose only endpoint is the pod `client`
HOST = "203.0.113.10"


@pytest.fixture(scope="module")
def bed(topologies: Path) -> Iterator[Bed]:
    lab = load(topologies / "kops.yaml")
    [cluster] = lab.clusters
    assert isinstance(cluster, KopsCluster)
    own = Service("own", {"app": "client"}, (ServicePort(80),), cluster_ip=IPv4Address(OWN))
    with bring_up(replace(lab, clusters=(replace(cluster, cni="ptp", services=(own,)),))) as up:
        yield up


def test_the_chain_is_kops_own(bed: Bed) -> None:
    saved = bed.run("node-1", "iptables-nft-save", "-t", "nat").stdout.splitlines()

    assert [line for line in saved if line.startswith("-A IP-MASQ")] == [
        "-A IP-MASQ -d 100.64.0.0/10 -m comment"
        ' --comment "ip-masq: pod cidr is not subject to MASQUERADE" -j RETURN',
        '-A IP-MASQ -m comment --comment "ip-masq: outbound traffic is subject to MASQUERADE'
        ' (must be last in chain)" -j MASQUERADE',
    ]
    assert not any("kubenet" in line for line in saved)


def test_every_way_is_explained(bed: Bed, explain: Explain) -> None:
    """To a neighbour, to another node, to itself by a Service, out."""
    for destination in ("web-0", "web-1", OWN, HOST):
        seen = explain("client", destination)
        assert (destination, seen.difference, seen.delivered) == (destination, None, True)


def test_a_pod_whose_route_is_gone_is_looked_for_in_the_vpc(bed: Bed, explain: Explain) -> None:
    """The node has no range of its own: what it does not know goes to its default route."""
    route = next(
        fact
        for fact in bed.state
        if isinstance(fact, Route) and fact.ns == "node-1" and fact.dst[0] == bed.pod("web-0").ip
    )

    with bed.without(route):
        seen = explain("client", "web-0")

    assert seen.difference is None
    assert not seen.delivered
    assert seen.observed.there.visits[2].ns == "vpc-main"
