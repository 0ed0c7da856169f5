"""Bandwidth annotations on a kubenet node: what is shaped, and what really is not."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.kops.model import KopsCluster
from testbed.kubernetes.cni.bandwidth import EGRESS, INGRESS
from testbed.kubernetes.model import Pod
from testbed.lab import Lab
from testbed.load import load
from testbed.net.facts import Bridge
from testbed.net.shaping import Shaper

pytestmark = pytest.mark.kernel

SLOW = Pod("slow", node="node-1", annotations={INGRESS: "8M", EGRESS: "1M"})


def with_pods(lab: Lab, pods: tuple[Pod, ...]) -> Lab:
    [cluster] = lab.clusters
    return replace(lab, clusters=(replace(cluster, pods=pods),))


def pods_of(bed: Bed) -> tuple[Pod, ...]:
    [cluster] = bed.lab.clusters
    return cluster.pods


@pytest.fixture(scope="module")
def bed(topologies: Path) -> Iterator[Bed]:
    lab = load(topologies / "kops.yaml")
    [cluster] = lab.clusters
    with bring_up(with_pods(lab, (*cluster.pods, SLOW))) as up:
        yield up


def sent_by_class(bed: Bed) -> dict[str, int]:
    """Packets that each class of node-1's cbr0 has sent."""
    told = bed.run("node-1", "tc", "-s", "class", "show", "dev", "cbr0").stdout
    found = re.findall(r"class htb (1:\S+) .*\n Sent \d+ bytes (\d+) pkt", told)
    return {name: int(packets) for name, packets in found}


def test_every_bridge_has_the_shaper_and_annotated_pods_their_classes(bed: Bed) -> None:
    shown = bed.run("node-1", "tc", "class", "show", "dev", "cbr0").stdout.splitlines()
    other = bed.run("node-2", "tc", "qdisc", "show", "dev", "cbr0").stdout

    assert sorted(shown) == [
        "class htb 1:1 root prio 0 rate 8Mbit ceil 8Mbit burst 1600b cburst 1600b ",
        "class htb 1:2 root prio 0 rate 1Mbit ceil 1Mbit burst 1600b cburst 1600b ",
    ]
    assert other.startswith("qdisc htb 1: root refcnt 2 r2q 10 default 0x30")
    assert not bed.drift()


def test_what_comes_from_elsewhere_is_shaped_and_nothing_else(bed: Bed) -> None:
    """F28: the class for what the pod sends never sees a packet, nor does a neighbour's."""
    before = sent_by_class(bed)
    assert bed.ping("web-1", "slow").received == 1, "from another node"
    shaped = sent_by_class(bed)
    neighbour = next(at.pod for at in bed.allocations.pods if at.node == "node-1" != at.pod)
    assert bed.ping(neighbour, "slow").received == 1
    assert bed.ping("slow", "web-1").received == 1
    after = sent_by_class(bed)

    assert shaped["1:1"] > before["1:1"]
    assert after["1:1"] - shaped["1:1"] == 1, "web-1's answer; the neighbour's packet is bridged"
    assert after["1:2"] == 0


def test_a_pod_that_goes_takes_its_classes_along(bed: Bed) -> None:
    """And they are written anew where an annotation changes."""
    pods = pods_of(bed)
    rest = tuple(one for one in pods if one.name != "slow")
    faster = replace(SLOW, annotations={INGRESS: "16M"})

    bed.up(with_pods(bed.lab, rest))
    assert bed.fact(Shaper, ns="node-1").limits == ()
    assert not bed.drift()
    bed.up(with_pods(bed.lab, (*rest, faster)))
    assert [limit.kbit for limit in bed.fact(Shaper, ns="node-1").limits] == [16_000]
    assert not bed.drift()
    bed.up(with_pods(bed.lab, pods))


def test_the_bridge_outlives_its_last_pod_with_the_kernels_own_mtu(bed: Bed) -> None:
    """It stays, with its address and its shaper; the next pod gives it 9001 bytes again."""
    pods = pods_of(bed)

    bed.up(with_pods(bed.lab, ()))
    assert bed.fact(Bridge, ns="node-1").mtu == 1500
    assert not bed.drift()
    bed.up(with_pods(bed.lab, pods))

    assert bed.fact(Bridge, ns="node-1").mtu == 9001
    assert not bed.drift()
    assert bed.ping("web-1", "slow").received == 1


def test_a_node_that_never_had_a_pod_has_no_bridge(topologies: Path) -> None:
    """Nor has kubenet before the first one."""
    lab = load(topologies / "kops.yaml")
    [cluster] = lab.clusters
    assert isinstance(cluster, KopsCluster)
    with bring_up(with_pods(lab, ())) as up:
        assert not [
            fact for fact in up.state if isinstance(fact, Shaper | Bridge) and fact.ns == "node-1"
        ]
