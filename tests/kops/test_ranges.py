"""Each node has a range for its pods, given once."""

from dataclasses import replace
from ipaddress import IPv4Network

from testbed.kops.ipam import ranges
from testbed.kops.model import KopsCluster
from testbed.kubernetes.placement import NodeIpam, NodeRange


def node_ranges(cluster: KopsCluster, before: tuple[NodeRange, ...] = ()) -> tuple[NodeRange, ...]:
    return ranges.node_ranges(cluster, before)[0]


def cidrs(found: tuple[NodeRange, ...]) -> dict[str, str]:
    return {one.node: str(one.cidr) for one in found}


def test_nodes_get_a_24_each_in_order(cluster, node):
    found = node_ranges(cluster((node("n1"), node("n2"), node("n3"))))

    assert cidrs(found) == {"n1": "100.96.0.0/24", "n2": "100.96.1.0/24", "n3": "100.96.2.0/24"}


def test_a_node_gets_the_range_it_asks_for_and_nobody_else_does(cluster, node):
    found = node_ranges(cluster((node("n1"), node("n2", "100.96.0.0/24", "100.96.0.10"))))

    assert cidrs(found) == {"n1": "100.96.1.0/24", "n2": "100.96.0.0/24"}
    assert [str(one.last_reserved_ip) for one in found] == ["None", "100.96.0.10"]


def test_services_keep_their_part_of_the_pods_range(cluster, node):
    """kube-controller-manager marks it used (--service-cluster-ip-range)."""
    overlapping = cluster((node("n1"),), pod_cidr="100.64.0.0/10", service_cidr="100.64.0.0/23")

    assert cidrs(node_ranges(overlapping)) == {"n1": "100.64.2.0/24"}


def test_a_node_keeps_its_range_when_another_one_goes(cluster, node):
    before = node_ranges(cluster((node("n1"), node("n2"))))

    after = node_ranges(cluster((node("n2"), node("n3"))), before)

    assert cidrs(after) == {"n2": "100.96.1.0/24", "n3": "100.96.0.0/24"}


def test_a_node_loses_its_range_to_one_that_asks_for_it(cluster, node):
    before = node_ranges(cluster((node("n1"),)))

    after = node_ranges(cluster((node("n1"), node("n2", "100.96.0.0/24"))), before)

    assert cidrs(after) == {"n1": "100.96.1.0/24", "n2": "100.96.0.0/24"}


def test_a_node_moves_with_its_clusters_range(cluster, node):
    before = node_ranges(cluster((node("n1"),)))

    after = node_ranges(cluster((node("n1"),), pod_cidr="100.100.0.0/16"), before)

    assert cidrs(after) == {"n1": "100.100.0.0/24"}


def test_a_range_of_another_cluster_is_not_kept(cluster, node):
    before = (NodeRange("n1", "other", IPv4Network("100.96.9.0/24")),)

    assert cidrs(node_ranges(cluster((node("n1"),)), before)) == {"n1": "100.96.0.0/24"}


def test_a_range_that_was_given_back_comes_again_as_late_as_possible(cluster, node):
    """cidr_set.go: AllocateNext goes on behind the last one, and only wraps at the end."""
    three = {"pod_cidr": "100.96.0.0/22"}
    before, ipam = ranges.node_ranges(cluster((node("n1"), node("n2")), **three))

    renamed, then = ranges.node_ranges(cluster((node("n1"), node("new")), **three), before, [ipam])
    more = (node("n1"), node("new"), node("n4"), node("n5"), node("n6"))
    full, _ = ranges.node_ranges(cluster(more, **three), renamed, [then])

    assert cidrs(renamed) == {"n1": "100.96.0.0/24", "new": "100.96.2.0/24"}
    assert cidrs(full) == cidrs(renamed) | {"n4": "100.96.3.0/24", "n5": "100.96.1.0/24"}
    assert "n6" not in cidrs(full), "CIDRNotAvailable"


def test_another_range_for_pods_starts_the_controller_again(cluster, node):
    elsewhere = NodeIpam("kops", IPv4Network("100.96.7.0/24"))

    found, ipam = ranges.node_ranges(
        cluster((node("n1"),), pod_cidr="100.100.0.0/16"), ipam=[elsewhere]
    )

    assert cidrs(found) == {"n1": "100.100.0.0/24"}
    assert ipam == NodeIpam("kops", IPv4Network("100.100.0.0/24"))


def test_nodes_parts_may_be_smaller(cluster, node):
    """kube-controller-manager --node-cidr-mask-size."""
    small = replace(
        cluster((node("n1"), node("n2")), pod_cidr="100.96.0.0/24"), node_cidr_mask_size=26
    )

    assert cidrs(node_ranges(small)) == {"n1": "100.96.0.0/26", "n2": "100.96.0.64/26"}
