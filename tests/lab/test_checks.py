"""What the parts of a lab must agree upon."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from testbed.description.problem import Problem
from testbed.eks.model import EksCluster
from testbed.errors import AwsError
from testbed.kubernetes.kube_proxy import KubeProxy
from testbed.kubernetes.model import Node, Pod, Service, ServicePort
from testbed.lab import Expectation, Lab, Slide, load_balancers
from testbed.lab.checks import check, problems, warnings
from testbed.vpc.model import Internet, NatGateway, RouteEntry, RouteTable, Subnet, Vpc

SUBNETS = (
    Subnet("a", IPv4Network("10.0.1.0/24"), "us-west-2a"),
    Subnet("b", IPv4Network("10.0.2.0/24"), "us-west-2b"),
)
TEN = (IPv4Network("10.0.0.0/16"),)
VPC = Vpc("main", TEN, SUBNETS)
NODE = Node("node-1", "a", "t3.small")
WEB = Pod("web")


def cluster_of(*pods: Pod, name: str = "eks", vpc: str = "main", node: Node = NODE) -> EksCluster:
    """A cluster of one node."""
    return EksCluster(name, vpc=vpc, nodes=(node,), pods=pods)


def only(lab: Lab) -> Problem:
    """The one thing wrong with a lab."""
    found = list(problems(lab))
    assert len(found) == 1, found
    return found[0]


def test_a_good_lab_is_checked_and_returned() -> None:
    """So that `check` can stand in an expression."""
    lab = Lab("eks", vpcs=(VPC,), clusters=(cluster_of(WEB),))

    assert check(lab) is lab


def test_the_first_problem_is_raised_with_its_key() -> None:
    """A lab made in Python has no lines."""
    with pytest.raises(AwsError) as caught:
        check(Lab("eks", vpcs=(Vpc("main", (IPv4Network("10.0.0.0/8"),)),)))

    assert str(caught.value) == (
        "vpcs.main.cidrs[0]: a VPC's range is a /16 to a /28, not 10.0.0.0/8 (InvalidVpc.Range)"
    )


@pytest.mark.parametrize("name", ["My Lab", "l" * 33, ""])
def test_a_labs_name_is_a_short_label(name: str) -> None:
    """It is part of file names and, published, of namespaces on the host."""
    assert only(Lab(name, vpcs=(VPC,))).key == "name"


def test_a_clusters_vpc_is_there() -> None:
    """The nearest one is offered."""
    problem = only(Lab("eks", vpcs=(VPC,), clusters=(cluster_of(vpc="mian"),)))

    assert problem.key == "clusters.eks.vpc"
    assert problem.message == 'there is no VPC "mian"; did you mean "main"?'


def test_routes_lead_to_the_nodes_of_the_same_vpc() -> None:
    """A route to another VPC's instance is refused by AWS too."""
    good = RouteEntry(IPv4Network("192.168.0.0/16"), "node-1/2")
    wrong = RouteEntry(IPv4Network("172.16.0.0/12"), "node-2")
    here = Vpc("main", TEN, SUBNETS, route_tables=(RouteTable("main", (good, wrong)),))
    there = Vpc("other", TEN, SUBNETS)
    other = cluster_of(name="two", vpc="other", node=Node("node-2", "a", "t3.small"))

    problem = only(Lab("eks", vpcs=(here, there), clusters=(cluster_of(), other)))

    assert problem.key == 'vpcs.main.routeTables.main["172.16.0.0/12"]'


@pytest.mark.parametrize(
    ("pod", "taken_by"),
    [
        (Pod("node-1"), "clusters.eks.nodes.node-1"),
        (Pod("web"), "clusters.eks.pods.web"),
        (Pod("nat-a"), "vpcs.main.natGateways.a"),
    ],
)
def test_a_name_means_one_thing_in_a_lab(pod: Pod, taken_by: str) -> None:
    """Names are what users type: of pods, nodes and gateways, in all clusters and VPCs."""
    out = RouteEntry(IPv4Network("0.0.0.0/0"), "internet-gateway")
    vpc = Vpc("main", TEN, SUBNETS, (RouteTable("main", (out,)),), (NatGateway("a", "a"),))

    problem = only(Lab("eks", vpcs=(vpc,), clusters=(cluster_of(WEB, pod),)))

    assert problem.path == ("clusters", "eks", "pods", pod.name)
    assert problem.message.endswith(f"is taken by {taken_by}")


def test_pods_of_one_name_live_in_two_namespaces() -> None:
    """They are typed `web` and `test.web`."""
    lab = Lab("eks", vpcs=(VPC,), clusters=(cluster_of(WEB, Pod("web", namespace="test")),))

    assert list(problems(lab)) == []


def test_vpcs_and_clusters_have_their_names_once() -> None:
    """A list may have them twice; a map cannot."""
    keys = [problem.key for problem in problems(Lab("eks", vpcs=(VPC, VPC)))]

    assert keys[0] == "vpcs.main"


@pytest.mark.parametrize("host", ["10.0.1.9", "192.0.2.9"])
def test_a_host_of_the_internet_is_in_no_range_of_the_lab(host: str) -> None:
    """The VPC would take its address for local; the public range is for Elastic IPs."""
    problem = only(Lab("eks", vpcs=(VPC,), internet=Internet(hosts=(IPv4Address(host),))))

    assert problem.key == "internet.hosts[0]"


def test_an_expectation_is_of_pods_that_are_there() -> None:
    """One that matches nothing would hold for ever."""
    expected = Expectation("web", "clint-*", "blocked")

    problem = only(Lab("eks", vpcs=(VPC,), clusters=(cluster_of(WEB),), expect=(expected,)))

    assert problem.key == "expect[0].destination"


def test_a_slides_words_in_braces_belong_to_places() -> None:
    """A misspelt one would stay in the comparison as it is."""
    slide = Slide("rules", "node-1", "ip rule", "512: to {web.ip}\n1536: from {wbe.ip}")

    problem = only(Lab("eks", vpcs=(VPC,), clusters=(cluster_of(WEB),), slides=(slide,)))

    assert problem.key == "slides.rules.lines"
    assert problem.message == 'there is no place "wbe"; did you mean "web"?'


def test_what_is_advised_against_is_a_warning() -> None:
    """Docker's own range, and two clusters in one VPC: allowed, and regretted."""
    docker = Vpc("main", (IPv4Network("172.17.0.0/16"),), SUBNETS)
    two = cluster_of(name="two", node=Node("node-2", "a", "t3.small"))
    lab = Lab("eks", vpcs=(docker,), clusters=(cluster_of(), two))

    assert [warning.key for warning in warnings(lab)] == ["vpcs.main.cidrs[0]", "vpcs.main"]


def test_a_slides_command_runs_in_any_place_of_the_lab() -> None:
    """A VPC's router too: the slides show route tables."""

    def slide(place: str) -> Lab:
        shown = Slide("routes", place, "ip route", "default")
        return Lab("eks", vpcs=(VPC,), clusters=(cluster_of(WEB),), slides=(shown,))

    assert [list(problems(slide(place))) for place in ("vpc-main", "web", "igw-main")] == [[]] * 3
    assert (
        only(slide("vpc-mian")).message == 'there is no place "vpc-mian"; did you mean "vpc-main"?'
    )


def test_clusters_may_have_services_of_one_name() -> None:
    """`default/web` is two Services in two clusters, and so are their load balancers."""
    web = Service("web", {"app": "web"}, (ServicePort(80),), type="LoadBalancer")
    out = RouteEntry(IPv4Network("0.0.0.0/0"), "internet-gateway")
    public = replace(VPC, route_tables=(RouteTable("main", (out,)),))
    first = replace(cluster_of(WEB), services=(web,))
    second = replace(
        cluster_of(name="twin", node=Node("node-2", "a", "t3.small")),
        services=(web,),
        service_cidr=IPv4Network("172.21.0.0/16"),
    )
    lab = Lab("x", (public,), (first, second))

    assert list(problems(lab)) == []
    assert [one.netns for _, one in load_balancers(lab)] == [
        "elb-web-us-west-2a",
        "elb-twin-web-us-west-2a",
    ]


def test_kube_proxys_flags_are_checked_as_it_does() -> None:
    """Without an interface its rules would match every packet, or none."""
    bridge = KubeProxy(detect_local_mode="BridgeInterface")

    problem = only(
        Lab("eks", vpcs=(VPC,), clusters=(replace(cluster_of(WEB), kube_proxy=bridge),))
    )

    assert problem.key == "clusters.eks.kubeProxy.podInterface"
