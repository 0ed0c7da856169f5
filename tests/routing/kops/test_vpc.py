"""What the VPC has to do for kubenet, and what dies where it does not: routes, no source check."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.kops.model import KopsCluster
from testbed.lab import Lab
from testbed.lab.checks import warnings
from testbed.load import load
from testbed.net.facts import Route
from tests.routing.cni.conftest import Explain
from tests.routing.cni.conftest import explain as explain
from tests.routing.cni.conftest import observer as observer

pytestmark = pytest.mark.kernel

QUOTA = 4  # local, 0.0.0.0/0, and two nodes' of three


def with_quota(lab: Lab, quota: int) -> Lab:
    [vpc] = lab.vpcs
    return replace(lab, vpcs=(replace(vpc, routes_per_route_table=quota),))


@pytest.fixture(scope="module")
def bed(topologies: Path) -> Iterator[Bed]:
    full = load(topologies / "kops.yaml")
    with bring_up(full) as lab:
        lab.up(with_quota(full, QUOTA))  # a node that has no route at first gets no pods
        yield lab


# More nodes than a route table takes routes: kops#4918, #246, #260; kubernetes/kubernetes#40307


def test_the_last_node_gets_no_route(bed: Bed) -> None:
    routes = {
        str(fact.dst)
        for fact in bed.state
        if isinstance(fact, Route) and fact.ns == "vpc-main" and str(fact.dst).startswith("100.")
    }

    assert bed.pod("web-2").node == "node-3", "premise: the node of 100.96.2.0/24"
    assert routes == {"100.96.0.0/24", "100.96.1.0/24"}
    assert "2 more" in next(iter(warnings(bed.lab))).message
    assert not bed.drift()


def test_nothing_gets_in_and_what_is_translated_gets_out(bed: Bed, explain: Explain) -> None:
    to_pod = explain("client", "web-2")
    from_pod = explain("web-2", "client")

    assert (to_pod.difference, to_pod.cause) == (None, ("igw-main", "X_ROUTE_LIMIT"))
    assert (from_pod.difference, from_pod.cause) == (None, ("igw-main", "X_ROUTE_LIMIT"))
    assert from_pod.observed.there.end.delivered, "the answer is what is lost"
    assert bed.http("web-2", "203.0.113.10").delivered, "with its node's address"
    assert bed.ping("node-3", "web-2").received == 1, "its own node finds it"
    assert bed.ping("client", "web-1").received == 1, "control: a node with a route"


def test_a_larger_quota_heals_it(bed: Bed) -> None:
    before = bed.lab
    bed.up(with_quota(before, QUOTA + 1))
    try:
        assert bed.ping("client", "web-2").received == 1
        assert not bed.drift()
        assert list(warnings(bed.lab)) == []
    finally:
        bed.up(before)


def test_a_node_whose_source_check_was_left_on_carries_its_own_packets_only(
    bed: Bed, explain: Explain
) -> None:
    """kops#10019: a node's `sourceDestCheck: true`.  Both ways die at its ENI."""
    before = bed.lab
    [cluster] = before.clusters
    assert isinstance(cluster, KopsCluster)
    one, *others = cluster.nodes
    checked = replace(cluster, nodes=(replace(one, source_dest_check=True), *others))
    bed.up(replace(before, clusters=(checked,)))
    try:
        for source, destination in (("client", "web-1"), ("web-1", "client")):
            seen = explain(source, destination)
            assert seen.difference is None
            assert seen.cause == ("vpc-main", "ENI_SOURCE_DEST_CHECK_RESTRICTION")
        assert explain("client", "203.0.113.10").delivered, "with its node's address"
        assert explain("client", "web-0").delivered, "on the node"
    finally:
        bed.up(before)
