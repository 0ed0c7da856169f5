"""docker0's 172.17.0.0/16 hides a peer of that range, from some pods of a node and not others."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.eks.model import EksCluster
from testbed.explain.reachability import question, reach
from testbed.explain.walk.predict import predict
from testbed.explain.walk.world import World
from testbed.lab import Lab
from testbed.lab.checks import warnings
from testbed.load import load
from testbed.net.facts import Address

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def lab(topologies: Path) -> Iterator[Bed]:
    """`topologies/docker.yaml`, up."""
    with bring_up(load(topologies / "docker.yaml")) as up:
        yield up


def test_every_pair_does_what_the_topology_expects(lab: Bed) -> None:
    for protocol in ("icmp", "http"):
        result = lab.matrix(protocol)
        assert (result.failed, result.inconclusive) == ((), ())


def test_the_node_itself_has_no_route_to_host(lab: Bed) -> None:
    """As `kubectl exec` said where the control plane had docker0 (EKS User Guide)."""
    refused = lab.tcp("node-1", "old", 80)

    assert (refused.verdict, refused.reason) == ("unreachable", "No route to host")
    assert lab.tcp("node-2", "old", 80).delivered, "control: a node without Docker"


def test_the_connected_route_is_what_hides_the_peer(lab: Bed) -> None:
    """Without docker0's address the pod of eth0 gets through."""
    address = lab.fact(Address, ns="node-1", dev="docker0")

    assert lab.briefly.ping("eth0-pod", "old").received == 0
    with lab.without(address):
        assert lab.ping("eth0-pod", "old").received == 1
    assert not lab.drift()


def test_the_prediction_says_so(lab: Bed) -> None:
    world, old = World.planned(lab.state), lab.address("old")

    eth0_pod = question("icmp", lab.address("eth0-pod"), old)
    assert reach(predict(world, "eth0-pod", eth0_pod)).code == "X_EMPTY_BRIDGE"
    eth1_pod = question("icmp", lab.address("eth1-pod"), old)
    assert reach(predict(world, "eth1-pod", eth1_pod)).delivered


def test_with_snat_no_pod_of_the_node_gets_through(
    beds: Callable[[Lab], Bed], topologies: Path
) -> None:
    """Translated traffic leaves by table main, whatever the pod's interface."""
    lab = load(topologies / "docker.yaml")
    [cluster] = lab.clusters
    assert isinstance(cluster, EksCluster)
    env = replace(cluster.env, external_snat=False)
    bed = beds(replace(lab, clusters=(replace(cluster, env=env),)))

    for pod in ("eth0-pod", "eth1-pod"):
        assert bed.briefly.ping(pod, "old").received == 0
    assert bed.ping("other-pod", "old").received == 1, "control"


def test_the_range_is_warned_of(topologies: Path) -> None:
    [warning] = warnings(load(topologies / "docker.yaml"))

    assert warning.key == "vpcs.legacy.cidrs[0]"
