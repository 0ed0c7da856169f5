"""A cluster's pods and ENIs as one `up` after the other leaves them."""

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from testbed.allocations import Allocations, allocate
from testbed.eks.environment import CniSettings
from testbed.eks.model import EksCluster, Profile
from testbed.kubernetes.model import Node, Pod
from testbed.lab import Lab
from testbed.vpc.model import Subnet, Vpc

BOTH = pytest.mark.parametrize("profile", ["slides", "current"])


def lab(
    *pods: Pod,
    nodes: Iterable[Node] = (Node("n1", "a", "m5.large"),),
    cidr: str = "10.0.1.0/24",
    profile: Profile = "current",
    env: CniSettings | None = None,
) -> Lab:
    vpc = Vpc("main", (IPv4Network("10.0.0.0/16"),), (Subnet("a", IPv4Network(cidr), "z1"),))
    cluster = EksCluster(
        "eks", "main", tuple(nodes), pods, profile=profile, env=env or CniSettings()
    )
    return Lab("test", (vpc,), (cluster,))


def pool(found: Allocations, node: str = "n1") -> tuple[int, int, int]:
    """Total, assigned and ENIs, as the worked timeline counts them."""
    enis = [eni for eni in found.enis if eni.instance == node]
    total = sum(len(eni.secondary) for eni in enis)
    return total, sum(pod.node == node for pod in found.pods), len(enis)


def where(found: Allocations) -> dict[str, tuple[int, str]]:
    return {pod.pod: (pod.device_index, str(pod.ip)) for pod in found.pods}


@BOTH
@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        (0, (9, 0, 1)),  # no warm ENI on an empty node: its own nine addresses suffice
        (1, (18, 1, 2)),
        (9, (18, 9, 2)),
        (10, (27, 10, 3)),
        (19, (27, 19, 3)),  # low, but the type has three ENIs
        (27, (27, 27, 3)),
    ],
)
def test_an_m5_large_grows_by_the_worked_timeline(profile, pods, expected):
    """Three ENIs of nine secondary addresses, with default targets."""
    found = allocate(lab(*Pod.replicas("p", pods), profile=profile))

    assert pool(found) == expected
    assert found.pending == ()


@BOTH
def test_the_28th_pod_finds_no_address(profile):
    """Where kubelet would take it: --max-pods is given by hand."""
    node = Node("n1", "a", "m5.large", max_pods=110)

    found = allocate(lab(*Pod.replicas("p", 28), nodes=[node], profile=profile))

    assert pool(found) == (27, 27, 3)
    [pending] = found.pending
    assert (pending.pod, pending.node) == ("p-27", "n1")
    assert pending.reason == (
        "failed to assign an IP address to container: n1 has 27 addresses on 3 ENIs, all in use"
    )


@BOTH
def test_by_default_the_28th_pod_is_not_even_scheduled(profile):
    """29 is max pods, and two of them are aws-node and kube-proxy."""
    found = allocate(lab(*Pod.replicas("p", 28), profile=profile))

    [pending] = found.pending
    assert pending.reason == "0/1 nodes are available: 1 Too many pods."


@BOTH
def test_when_all_pods_are_gone_the_enis_go_too(profile):
    """27/0 -> 18/0 -> 9/0."""
    busy = allocate(lab(*Pod.replicas("p", 27), profile=profile))

    assert pool(allocate(lab(profile=profile), busy)) == (9, 0, 1)


@BOTH
def test_pods_fill_eth0_first_and_then_eth1(profile):
    nodes = [Node("n1", "a", "t3.small")]

    found = allocate(lab(*Pod.replicas("p", 4), nodes=nodes, profile=profile))

    assert where(found) == {
        "p-0": (0, "10.0.1.5"),
        "p-1": (0, "10.0.1.6"),
        "p-2": (0, "10.0.1.7"),
        "p-3": (1, "10.0.1.9"),
    }


def test_the_slides_node_has_pod_1_on_eth0_and_pod_2_on_eth1():
    node = Node("node-1", "a", "t3.small", private_ip=IPv4Address("10.10.0.10"))
    pods = [Pod("pod-1", eni=0), Pod("pod-2", eni=1)]
    slides = lab(*pods, nodes=[node], cidr="10.0.0.0/19", profile="slides")
    vpc = Vpc(
        "main",
        (IPv4Network("10.10.0.0/16"),),
        (Subnet("a", IPv4Network("10.10.0.0/19"), "z1"),),
    )

    found = allocate(replace(slides, vpcs=(vpc,)))

    assert [(pod.pod, pod.device_index) for pod in found.pods] == [("pod-1", 0), ("pod-2", 1)]
    assert [eni.device_index for eni in found.enis] == [0, 1]
    assert found.enis[0].primary == IPv4Address("10.10.0.10")


@BOTH
def test_a_pinned_pod_gets_its_eni_when_a_later_pod_brings_it(profile):
    """kubelet tries again: eth1 is attached only after the second pod took an address."""
    found = allocate(lab(Pod("first", eni=1), Pod("second"), profile=profile))

    assert {name: eni for name, (eni, _) in where(found).items()} == {"first": 1, "second": 0}


@BOTH
def test_a_pod_pinned_to_an_eni_that_never_comes_waits(profile):
    found = allocate(lab(Pod("a", eni=2), profile=profile))

    [pending] = found.pending
    assert pending.reason == (
        "failed to assign an IP address to container: no free address on eth2 of n1"
    )


@BOTH
def test_a_full_subnet_leaves_pods_waiting_with_aws_s_words(profile):
    """A /28 has 11 addresses: one is the node's, then nine on eth0 and one for eth1 itself."""
    found = allocate(lab(*Pod.replicas("p", 12), cidr="10.0.1.0/28", profile=profile))

    assert [pod.pod for pod in found.pods] == [f"p-{i}" for i in range(9)]
    assert [pending.pod for pending in found.pending] == ["p-9", "p-10", "p-11"]
    assert "InsufficientFreeAddressesInSubnet" in found.pending[0].reason


@BOTH
def test_one_address_short_ipamd_asks_for_a_single_one(profile):
    """Nine are refused, all or nothing, so v1.5 and v1.23 both go on one by one."""
    nodes = [Node("n1", "a", "m5.large"), Node("n2", "a", "t3.small")]

    found = allocate(lab(nodes=nodes, cidr="10.0.1.0/28", profile=profile))

    assert [len(eni.addresses) for eni in found.enis] == [10, 1]


@BOTH
@pytest.mark.parametrize("env", [{}, {"warm_ip_target": 2}, {"warm_eni_target": 0}])
def test_a_second_run_changes_nothing(profile, env):
    nodes = [Node("n1", "a", "m5.large"), Node("n2", "a", "t3.small"), Node("n3", "a", "t3.nano")]
    pods = [*Pod.replicas("p", 30), Pod("h", host_network=True), Pod("q", eni=1, node="n2")]
    wanted = lab(*pods, nodes=nodes, profile=profile, env=CniSettings(**env))

    first = allocate(wanted)

    assert allocate(wanted, first) == first


@BOTH
def test_a_new_pod_renumbers_nobody(profile):
    three = [Pod("a"), Pod("b"), Pod("c")]
    before = allocate(lab(*three, profile=profile))

    after = allocate(lab(Pod("new"), *three, profile=profile), before)

    assert {name: at for name, at in where(after).items() if name != "new"} == where(before)


@BOTH
def test_a_removed_pod_s_address_is_the_next_pod_s(profile):
    before = allocate(lab(Pod("a"), Pod("b"), profile=profile))

    after = allocate(lab(Pod("b"), Pod("c"), profile=profile), before)

    assert where(after) == {"b": where(before)["b"], "c": where(before)["a"]}


def test_a_warm_ip_target_keeps_only_so_many_addresses():
    wanted = lab(*Pod.replicas("p", 2), env=CniSettings(warm_ip_target=1))

    assert pool(allocate(wanted)) == (3, 2, 1)


def test_v1_5_with_a_warm_ip_target_overshoots_and_trims():
    wanted = lab(*Pod.replicas("p", 2), profile="slides", env=CniSettings(warm_ip_target=1))

    assert pool(allocate(wanted)) == (3, 2, 1)


def test_a_pod_on_its_node_s_network_has_its_node_s_address():
    found = allocate(lab(Pod("h", host_network=True), Pod("p")))

    host, pod = found.pods
    assert (host.ip, host.device_index, host.host_network) == (IPv4Address("10.0.1.4"), 0, True)
    assert pod.ip == IPv4Address("10.0.1.5")


def test_pods_are_spread_over_nodes_of_equal_room():
    nodes = [Node("n1", "a", "t3.small"), Node("n2", "a", "t3.small")]

    found = allocate(lab(*Pod.replicas("p", 4), nodes=nodes))

    assert [pod.node for pod in found.pods] == ["n1", "n2", "n1", "n2"]


def test_a_pod_moves_when_the_topology_names_another_node():
    nodes = [Node("n1", "a", "t3.small"), Node("n2", "a", "t3.small")]
    before = allocate(lab(Pod("p", node="n1"), nodes=nodes))

    [after] = allocate(lab(Pod("p", node="n2"), nodes=nodes), before).pods

    assert after.node == "n2"


def test_a_waiting_pod_stays_on_the_node_it_was_bound_to():
    """The scheduler binds once; only an address was missing."""
    nodes = [Node("n1", "a", "t3.small", max_pods=50)]
    before = allocate(lab(*Pod.replicas("p", 10), nodes=nodes))
    assert [(one.pod, one.node) for one in before.pending] == [("p-9", "n1")], "premise"

    more = [*nodes, Node("n2", "a", "m5.large")]
    after = allocate(lab(*Pod.replicas("p", 10), nodes=more), before)

    assert after.pending == before.pending
