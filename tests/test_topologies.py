"""The topologies that come with the testbed load and are what they say."""

from pathlib import Path

import pytest

from testbed.allocations import allocate
from testbed.lab import warnings
from testbed.load import load

TOPOLOGIES = Path(__file__).parent.parent / "topologies"


FILES = sorted([*TOPOLOGIES.glob("*.yaml"), *TOPOLOGIES.glob("*.py")])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_topology_loads(file: Path) -> None:
    """They are the documentation: nothing in them may be wrong."""
    assert load(file).name


@pytest.mark.parametrize("name", ["eks.yaml", "eks-slides.yaml"])
def test_every_pod_runs_and_nothing_is_advised_against(name: str) -> None:
    """A newcomer's first lab has no pod waiting and no warning."""
    lab = load(TOPOLOGIES / name)

    assert allocate(lab).pending == ()
    assert list(warnings(lab)) == []


def test_yaml_and_python_give_the_same_lab() -> None:
    """One value, two ways to write it."""
    assert load(TOPOLOGIES / "eks.yaml") == load(TOPOLOGIES / "eks.py")


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
