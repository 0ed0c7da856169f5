"""The topologies that come with the testbed load and are what they say."""

import json
from collections import Counter
from pathlib import Path

import pytest

from testbed.allocations import allocate
from testbed.lab import from_json, to_json
from testbed.lab.checks import warnings
from testbed.load import load
from testbed.net.facts import Chain
from testbed.plan import plan

TOPOLOGIES = Path(__file__).parent.parent / "topologies"


FILES = sorted([*TOPOLOGIES.glob("*.yaml"), *TOPOLOGIES.glob("*.py")])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_topology_loads(file: Path) -> None:
    """They are the documentation: nothing in them may be wrong."""
    assert load(file).name


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_topology_can_be_handed_to_a_daemon(file: Path) -> None:
    """As JSON, and back."""
    lab = load(file)

    assert from_json(json.loads(json.dumps(to_json(lab)))) == lab


@pytest.mark.parametrize(
    "name",
    [
        "custom-networking.yaml",
        "eks-slides.yaml",
        "eks.yaml",
        "hybrid.yaml",
        "kops-slides.yaml",
        "kops.yaml",
        "nlb.yaml",
        "peering.yaml",
        "prefix-delegation.yaml",
        "transit.yaml",
    ],
)
def test_every_pod_runs_and_nothing_is_advised_against(name: str) -> None:
    """A newcomer's first lab has no pod waiting and no warning."""
    lab = load(TOPOLOGIES / name)

    assert allocate(lab).pending == ()
    assert list(warnings(lab)) == []


@pytest.mark.parametrize("name", ["eks", "kops"])
def test_yaml_and_python_give_the_same_lab(name: str) -> None:
    """One value, two ways to write it."""
    assert load(TOPOLOGIES / f"{name}.yaml") == load(TOPOLOGIES / f"{name}.py")


def test_a_node_of_the_eks_lab_needs_its_second_eni() -> None:
    """Five pods overflow the three secondary addresses of a t3.small's first ENI."""
    pods = {pod.pod: pod for pod in allocate(load(TOPOLOGIES / "eks.yaml")).pods}

    web = [pods[f"web-{i}"] for i in range(5)]
    assert [pod.device_index for pod in web] == [0, 0, 0, 1, 1]
    assert {pod.node for pod in web} == {"node-1"}
    assert (pods["client"].node, pods["api"].node) == ("node-2", "node-3")
    assert pods["monitoring.node-exporter"].host_network


def test_the_slides_lab_puts_its_pods_where_the_slide_has_them() -> None:
    """Pod-1 on an address of eth0, which is 10.10.0.10, pod-2 on one of eth1."""
    allocations = allocate(load(TOPOLOGIES / "eks-slides.yaml"))

    places = {pod.pod: (pod.node, pod.device_index) for pod in allocations.pods}
    assert places == {"pod-1": ("node-1", 0), "pod-2": ("node-1", 1), "pod-3": ("node-2", 0)}
    enis = {(eni.instance, eni.device_index): eni for eni in allocations.enis}
    assert str(enis["node-1", 0].primary) == "10.10.0.10"
    assert enis["node-1", 1].subnet == "zone-a"


def test_the_pods_of_the_kops_lab_are_where_its_drawing_has_them() -> None:
    """A range for each node, and a pod of `web` on each."""
    allocations = allocate(load(TOPOLOGIES / "kops.yaml"))

    assert {pod.pod: (pod.node, str(pod.ip)) for pod in allocations.pods} == {
        "web-0": ("node-1", "100.96.0.2"),
        "web-1": ("node-2", "100.96.1.2"),
        "web-2": ("node-3", "100.96.2.2"),
        "client": ("node-1", "100.96.0.3"),
        "api": ("node-2", "100.96.1.3"),
        "monitoring.node-exporter": ("node-2", "172.20.64.4"),
    }


def test_the_kops_slides_lab_has_the_slides_addresses() -> None:
    """Nodes, pods, the Service's ClusterIP and its node port."""
    allocations = allocate(load(TOPOLOGIES / "kops-slides.yaml"))

    enis = {eni.instance: str(eni.primary) for eni in allocations.enis}
    assert (enis["ec2-1"], enis["ec2-2"]) == ("10.1.1.11", "10.1.2.11")
    assert {pod.pod: str(pod.ip) for pod in allocations.pods} == {
        "pod-1": "100.65.130.11",
        "pod-2": "100.65.130.12",
        "pod-3": "100.65.129.11",
        "pod-4": "100.65.129.12",
    }
    [service] = allocations.services
    assert (str(service.cluster_ip), service.node_ports) == ("100.64.31.116", (31787,))


def test_the_large_lab_has_three_enis_and_two_hundred_rules_on_every_node() -> None:
    """What `make bench` promises to measure."""
    lab = load(TOPOLOGIES / "eks-100x30.py")
    allocations = allocate(lab)
    state = plan(lab, allocations)

    assert len(allocations.pods) == 3000
    enis = Counter(eni.instance for eni in allocations.enis)
    assert {enis[f"node-{i}"] for i in range(100)} == {3}
    rules: Counter[str] = Counter()
    for fact in state:
        if isinstance(fact, Chain):
            rules[fact.ns] += len(fact.rules)
    assert all(rules[f"node-{i}"] > 200 for i in range(100))
