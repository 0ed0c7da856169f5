"""What kops and kubenet would refuse of a cluster is refused here."""

from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from testbed.description.problem import Problem, spelt
from testbed.kops.checks import conflicts, enis, problems, warnings
from testbed.kops.model import KopsCluster
from testbed.kubernetes.cni.bandwidth import INGRESS
from testbed.kubernetes.kube_proxy import KubeProxy
from testbed.kubernetes.model import Pod
from testbed.vpc.model import RouteTable, Vpc


def only(cluster: KopsCluster, vpc: Vpc) -> Problem:
    """The one thing wrong with a cluster."""
    found = list(problems(cluster, vpc))
    assert len(found) == 1, found
    return found[0]


def test_a_cluster_of_the_default_ranges_is_good(cluster, node, vpc):
    """One zone is enough for kops."""
    assert list(problems(cluster((node("n1"), node("n2"))), vpc)) == []


def test_the_pods_own_world_is_not_the_vpcs(cluster, node, vpc):
    """Addresses of the VPC would not be translated, and answers would not find back."""
    overlapping = replace(vpc, cidrs=(*vpc.cidrs, IPv4Network("100.64.0.0/16")))

    problem = only(cluster((node("n1"),)), overlapping)

    assert spelt(problem.path) == "nonMasqueradeCidr"
    assert "100.64.0.0/10 cannot overlap 100.64.0.0/16 of VPC" in problem.message


@pytest.mark.parametrize(
    ("key", "ranges"),
    [
        ("podCidr", {"pod_cidr": "10.96.0.0/16"}),
        ("serviceCidr", {"service_cidr": "10.0.0.0/16"}),
    ],
)
def test_pods_and_services_are_inside_the_non_masquerade_range(cluster, node, vpc, key, ranges):
    problem = only(cluster((node("n1"),), **ranges), vpc)

    assert spelt(problem.path) == key
    assert "is not inside the nonMasqueradeCidr 100.64.0.0/10" in problem.message


@pytest.mark.parametrize(
    ("pod_cidr", "message"),
    [
        ("100.64.9.0/24", "100.64.9.0/24 is not inside the cluster's 100.96.0.0/11"),
        ("100.96.9.0/31", "100.96.9.0/31 has no address for a pod beside cbr0's; a /30 has one"),
        ("100.96.1.128/25", '100.96.1.128/25 overlaps the range of "n1"'),
    ],
)
def test_a_nodes_range_is_the_clusters_and_its_own(cluster, node, vpc, pod_cidr, message):
    problem = only(cluster((node("n1", "100.96.1.0/24"), node("n2", pod_cidr))), vpc)

    assert (spelt(problem.path), problem.message) == ("nodes.n2.podCidr", message)


def test_the_last_reserved_address_is_one_of_the_nodes_range(cluster, node, vpc):
    """host-local itself would begin at the first address and say nothing."""
    elsewhere = only(cluster((node("n1", "100.96.1.0/24", "100.96.2.10"),)), vpc)
    unknown = only(cluster((node("n1", "", "100.96.2.10"),)), vpc)

    assert elsewhere.message == "100.96.2.10 is not inside the node's podCidr 100.96.1.0/24"
    assert unknown.message == "the address to go on from is known only where podCidr is given"


def test_a_range_for_pods_is_no_smaller_than_a_nodes_part(cluster, node, vpc):
    """kube-controller-manager would not start."""
    problem = only(cluster((node("n1"),), pod_cidr="100.96.0.0/25"), vpc)
    half = replace(cluster((node("n1"),), pod_cidr="100.96.0.0/25"), node_cidr_mask_size=26)

    assert problem.message == "100.96.0.0/25 is too small: each node gets a /24 of it"
    assert list(problems(half, vpc)) == []


def test_nodes_beyond_the_pods_range_are_told_of(cluster, node, vpc):
    """The controller has an event for them, and no error."""
    nodes = (node("n1", "100.96.1.0/24"), node("n2"), node("n3"))
    small = cluster(nodes, pod_cidr="100.96.0.0/23")

    [warning] = warnings(small, vpc)

    assert list(problems(small, vpc)) == []
    assert (spelt(warning.path), warning.message) == (
        "podCidr",
        "100.96.0.0/23 has 1 free /24, and 2 nodes need one: CIDRNotAvailable for 1, which stay"
        " NotReady",
    )


def test_all_nodes_are_on_one_route_table(cluster, node, vpc):
    """kops' private topology has one for each zone: kops refuses kubenet there."""
    a, b = vpc.subnets
    private = replace(
        vpc,
        subnets=(a, replace(b, route_table="private")),
        route_tables=(*vpc.route_tables, RouteTable("private")),
    )
    nodes = (node("n1"), replace(node("n2"), subnet="b"))

    problem = only(cluster(nodes), private)

    assert problem.message == (
        "found multiple matching AWS route tables: the nodes' subnets have main and private;"
        " kubenet needs one table for all of them"
    )
    assert list(problems(cluster(nodes[:1]), private)) == [], "control: what matters is the nodes"


def test_a_pod_has_no_address_of_an_eni(cluster, node, vpc):
    problem = only(cluster((node("n1"),), (Pod("a", eni=0),)), vpc)

    assert spelt(problem.path) == "pods.a.eni"


def test_a_node_is_an_instance_of_a_known_type_in_a_subnet_that_is_there(cluster, node, vpc):
    wrong = replace(node("n1"), subnet="c", instance_type="t3.tiny")

    found = list(problems(cluster((wrong,)), vpc))

    assert [spelt(problem.path) for problem in found] == [
        "nodes.n1.subnet",
        "nodes.n1.instanceType",
    ]


def test_routes_may_lead_to_a_nodes_only_eni(cluster, node):
    assert enis(cluster((node("n1"), node("n2")))) == {"n1": 1, "n2": 1}


def test_clusters_of_one_vpc_do_not_share_a_range_of_pods(cluster, node):
    """One controller would delete the other one's routes."""
    one, other = cluster((node("n1"),)), replace(cluster((node("n2"),)), name="other")

    [problem] = conflicts([one, other])

    assert spelt(problem.path) == "clusters.other.podCidr"
    assert list(conflicts([one, replace(other, vpc="elsewhere")])) == []


def test_what_is_kubenets_alone_is_refused_with_ptp(cluster, node, vpc):
    today = replace(cluster((node("n1"),)), cni="ptp")

    hairpin = only(replace(today, hairpin_mode="none"), vpc)

    assert spelt(hairpin.path) == "hairpinMode"
    assert list(problems(today, vpc)) == []


def test_nftables_mode_is_of_nodes_without_kubenet(cluster, node, vpc):
    """Its hostPorts would jump to chains of kube-proxy's that are not there."""
    nftables = KubeProxy(era="current", mode="nftables")
    then = replace(cluster((node("n1"),)), kube_proxy=nftables)

    mode = only(then, vpc)

    assert spelt(mode.path) == "kubeProxy.mode"
    assert list(problems(replace(then, cni="ptp"), vpc)) == []


def test_a_pods_bandwidth_is_kubenets(cluster, node, vpc):
    pods = (Pod("shop", annotations={INGRESS: "1M"}),)
    then = cluster((node("n1"),), pods)

    [warning] = warnings(replace(then, cni="ptp"), vpc)

    assert spelt(warning.path) == f'pods.shop.annotations["{INGRESS}"]'
    assert list(warnings(then, vpc)) == []
