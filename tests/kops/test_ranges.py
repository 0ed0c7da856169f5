"""Each node has a range for its pods, given once."""

from ipaddress import IPv4Network

import pytest

from testbed.errors import DescriptionError
from testbed.kops.ranges import node_ranges
from testbed.kubernetes.placement import NodeRange


def cidrs(ranges: tuple[NodeRange, ...]) -> dict[str, str]:
    return {one.node: str(one.cidr) for one in ranges}


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


def test_no_range_left_is_told_with_the_controllers_word(cluster, node):
    """The checks of a lab say so before; here nodes of an earlier run are in the way."""
    full = cluster((node("n1"), node("n2")), pod_cidr="100.96.0.0/24")

    with pytest.raises(DescriptionError, match=r"CIDRNotAvailable: .* no /24 left for n2"):
        node_ranges(full)
