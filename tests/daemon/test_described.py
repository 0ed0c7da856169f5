"""`describe pod` and `describe node`: what they print of a plan, without a kernel."""

from dataclasses import replace
from pathlib import Path

import pytest

from testbed.allocations import allocate
from testbed.cli.look.describe.node import node_lines
from testbed.cli.look.describe.pod import pod_lines
from testbed.daemon.shown.described import node, pod
from testbed.daemon.shown.views import rows
from testbed.eks.model import EksCluster
from testbed.errors import UsageError
from testbed.kubernetes.scheduler.terms import Taint
from testbed.lab import Lab
from testbed.load import load
from testbed.net.facts import State
from testbed.plan import plan

COUNTED = {"conntrack": {"entries": 3, "max": 10, "drop": 1}}


def pod_text(lab: Lab, name: str, found: State | None = None) -> str:
    """As the command line prints it; found: in the kernels, where that is not the plan."""
    allocations = allocate(lab)
    wanted = plan(lab, allocations)
    cluster, asked = pod.named(lab, name)
    [row] = [row for row in rows("pods", lab, allocations) if row["name"] == name]
    found = wanted if found is None else found
    return "\n".join(pod_lines(pod.described(cluster, asked, row, allocations, found, wanted)))


def node_text(lab: Lab, name: str, netns: str = "") -> str:
    """As the command line prints it."""
    allocations = allocate(lab)
    row = node.named(name, rows("nodes", lab, allocations))
    enis = [one for one in rows("enis", lab, allocations) if one["instance"] == (netns or name)]
    pods = [one for one in rows("pods", lab, allocations) if one["node"] == name]
    return "\n".join(node_lines({**node.described(lab, row, enis, pods), **COUNTED}))


def test_a_pod_is_told_in_the_order_of_its_packets(topologies: Path) -> None:
    """What a user of the workshop asks for: the address, its ENI, and all that names it."""
    shown = pod_text(load(topologies / "eks-slides.yaml"), "pod-2")

    assert "Node:       node-1\n" in shown
    assert "IP:         10.10.0.11\n" in shown
    assert "Interface:  eth0, whose other end is eni" in shown
    assert "ENI:        eth1 of the node: eni-" in shown
    own, rules, route = (
        shown.index("pod-2: routes"),
        shown.index("1536:\tfrom 10.10.0.11 to 10.10.0.0/16 lookup 2"),
        shown.index("  10.10.0.11 dev eni"),
    )
    assert own < rules < route
    assert (
        "  # from a pod: out of the ENI that owns its address (amazon-vpc-cni-k8s: 1536)" in shown
    )
    assert "10.10.0.4" not in shown, "another pod's rule is none of this pod's"


def test_a_rule_that_is_gone_is_not_shown(topologies: Path) -> None:
    lab = load(topologies / "eks-slides.yaml")
    state = plan(lab, allocate(lab))
    lost = frozenset(fact for fact in state if getattr(fact, "priority", 0) != 1536)

    assert "1536:" not in pod_text(lab, "pod-2", lost)


def test_a_pod_behind_a_bridge_has_no_eni(topologies: Path) -> None:
    """The route to it is its node's whole range, and the most special one there is."""
    shown = pod_text(load(topologies / "kops-slides.yaml"), "pod-3")

    assert "ENI:" not in shown
    assert "whose other end is veth" in shown
    assert "pod-3: routes" in shown


def test_the_services_that_select_a_pod_are_named(topologies: Path) -> None:
    lab = load(topologies / "eks.yaml")

    assert pod_text(lab, "web-0").count("Services:   web\n") == 1
    assert "Services:   <none>" in pod_text(lab, "client")


def test_a_pod_that_waits_says_why_and_has_nothing_in_a_kernel(topologies: Path) -> None:
    lab = load(topologies / "eks.yaml")
    [cluster] = lab.clusters
    [first, *others] = cluster.pods
    full = replace(cluster, pods=(replace(first, node_selector={"disk": "ssd"}), *others))

    shown = pod_text(replace(lab, clusters=(full,)), first.netns)

    assert "Status:     Pending\n" in shown
    assert "Reason:     0/3 nodes are available" in shown
    assert shown.endswith("Services:   web")


def test_a_node_has_its_interfaces_and_pods(topologies: Path) -> None:
    lab = load(topologies / "eks.yaml")
    [cluster] = lab.clusters
    assert isinstance(cluster, EksCluster)
    [first, *others] = cluster.nodes
    tainted = replace(first, taints=(Taint("dedicated", "PreferNoSchedule", "web"),))
    lab = replace(lab, clusters=(replace(cluster, nodes=(tainted, *others)),))

    shown = node_text(lab, "node-1")

    assert "Taints:     dedicated=web:PreferNoSchedule\n" in shown
    assert "            topology.kubernetes.io/zone=us-west-2a\n" in shown
    assert "Instance:   t3.small in private-a, us-west-2a\n" in shown
    assert "Conntrack:  3 of 10 connections, 1 dropped for want of room\n" in shown
    assert "  eth1     eni-" in shown
    assert "Pods (5/11):\n" in shown
    assert "  web-4" in shown
    assert "client" not in shown


def test_a_pod_on_fargate_and_its_node_are_one(topologies: Path) -> None:
    lab = load(topologies / "fargate.yaml")
    [alone] = [row for row in rows("pods", lab, allocate(lab)) if row["name"] == "lone"]

    pod_shown, node_shown = pod_text(lab, "lone"), node_text(lab, alone["node"], "lone")

    assert "Interface:" not in pod_shown, "eth0 is the ENI itself"
    assert "lone: routes" in pod_shown
    assert "Labels:     <none>\n" in node_shown
    assert "Pods (1/1):" in node_shown


@pytest.mark.parametrize("asked", ["default/web-0", "web-00"])
def test_a_wrong_name_is_told_the_nearest(topologies: Path, asked: str) -> None:
    lab = load(topologies / "eks.yaml")

    with pytest.raises(UsageError, match='did you mean "web-0"'):
        pod.named(lab, asked)
    with pytest.raises(UsageError, match="among the nodes"):
        node.named(asked, rows("nodes", lab, allocate(lab)))


def test_a_pod_on_its_nodes_network_has_none_of_its_own(topologies: Path) -> None:
    lab = load(topologies / "eks.yaml")
    [cluster] = lab.clusters
    [first, *others] = cluster.pods
    lodger = replace(cluster, pods=(replace(first, host_network=True), *others))

    shown = pod_text(replace(lab, clusters=(lodger,)), first.netns)

    assert "Network:    its node's (hostNetwork)\n" in shown
    assert "Interface:" not in shown
    assert "ENI:        eth0 of the node" in shown
    assert "routes" not in shown
