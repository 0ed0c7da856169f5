"""Every namespace of a lab is known by kind, surroundings and addresses."""

from dataclasses import replace
from pathlib import Path

import pytest

from testbed.allocations import allocate
from testbed.daemon.shown.places import places
from testbed.daemon.shown.views import rows
from testbed.kops.model import KopsCluster
from testbed.kubernetes.model import Pod
from testbed.load import load
from testbed.net.facts import Netns
from testbed.plan import plan


@pytest.mark.parametrize(
    "name", ["eks.yaml", "eks-slides.yaml", "kops.yaml", "kops-slides.yaml", "nlb.yaml"]
)
def test_every_namespace_of_a_shipped_topology_has_its_place(topologies: Path, name: str) -> None:
    lab = load(topologies / name)
    allocations = allocate(lab)
    spaces = {fact.ns for fact in plan(lab, allocations) if isinstance(fact, Netns)}

    known = {place.ns: place for place in places(lab, allocations)}

    assert spaces <= set(known)
    for place in known.values():
        assert place.inside in ("", *known)


def test_a_network_load_balancer_is_no_node(topologies: Path) -> None:
    lab = load(topologies / "nlb.yaml")
    known = {place.ns: place for place in places(lab, allocate(lab))}

    assert known["nlb-web-us-west-2a"].kind == "load-balancer"
    assert known["nlb-web-us-west-2a"].detail == "public-a · us-west-2a"


def test_places_tell_what_a_drawing_needs(topologies: Path) -> None:
    lab = load(topologies / "eks.yaml")
    known = {place.ns: place for place in places(lab, allocate(lab))}

    assert (known["web-0"].kind, known["web-0"].inside) == ("pod", "node-1")
    assert known["node-1"].devices == ("eth0", "eth1", "eth2")
    assert known["node-1"].detail == "t3.small · us-west-2a"
    assert (known["nat-a"].kind, known["nat-a"].inside) == ("nat-gateway", "vpc-main")
    assert known["igw-main"].kind == "internet-gateway"
    assert known["internet"].addresses == lab.internet.hosts
    assert known["elb-web-us-west-2a"].kind == "load-balancer"
    assert "monitoring.node-exporter" not in known, "it is its node"


def test_a_pod_that_waits_on_a_node_is_shown_there(topologies: Path) -> None:
    """Bound by the scheduler, and refused by the network plugin."""
    lab = load(topologies / "kops.yaml")
    [kops] = lab.clusters
    assert isinstance(kops, KopsCluster)
    small = replace(kops, node_cidr_mask_size=30, pods=Pod.replicas("p", 4))  # one pod a node
    lab = replace(lab, clusters=(small,))

    shown = {row["name"]: row for row in rows("pods", lab, allocate(lab))}

    assert shown["p-3"]["status"] == "Pending"
    assert shown["p-3"]["node"] == "node-1"
