"""A pod on Fargate in a real kernel: alone on its ENI, reached and reaching like any other pod."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.eks.model import ControlPlane, EksCluster
from testbed.lab import Lab
from testbed.lab.checks import check
from testbed.load import load
from testbed.net.facts import Address, Chain, Route, Rule
from testbed.vpc.security.model import GroupRule, SecurityGroup

pytestmark = pytest.mark.kernel

METADATA = "169.254.169.254"
HTTP, KUBELET = 80, 10250
OUTSIDE = "203.0.113.10"


@pytest.fixture(scope="module")
def fargate(topologies: Path) -> Iterator[Bed]:
    """The lab of `topologies/fargate.yaml`."""
    with bring_up(load(topologies / "fargate.yaml")) as up:
        yield up


def ask(bed: Bed, place: str, name: str) -> str:
    """What a Service's endpoint says it saw; empty for no answer."""
    return bed.run(place, "curl", "-s", "-m", f"{bed.patience_s}", f"http://{name}/").stdout


def with_cluster(lab: Lab, **changes: object) -> Lab:
    [cluster] = lab.clusters
    assert isinstance(cluster, EksCluster)
    return check(replace(lab, clusters=(replace(cluster, **changes),)))  # type: ignore[arg-type]


def test_its_address_is_the_first_of_its_own_eni(fargate: Bed) -> None:
    [eni] = [eni for eni in fargate.allocations.enis if eni.instance == "lone"]

    assert eni.addresses == (fargate.address("lone"),)
    link = fargate.run("lone", "ip", "-br", "link", "show", "eth0").stdout
    assert eni.mac in link
    assert f"{eni.primary}/24" in fargate.run("lone", "ip", "-br", "address").stdout


def test_no_node_knows_anything_of_it(fargate: Bed) -> None:
    """No veth, no rule, no route of ipamD: its address is nowhere but in its own machine."""
    address = fargate.address("lone")
    wired = [
        f for f in fargate.state if isinstance(f, Rule | Route | Address) and f.ns == "node-1"
    ]

    assert not [fact for fact in wired if str(address) in str(fact)]
    assert [fact for fact in wired if str(fargate.address("client")) in str(fact)], "control"
    assert not fargate.drift()


@pytest.mark.parametrize("protocol", ["icmp", "http"])
def test_it_reaches_and_is_reached_by_every_pod(fargate: Bed, protocol: str) -> None:
    result = fargate.matrix(protocol)  # type: ignore[arg-type]

    assert (result.pairs, result.ok) == (12, 12)


def test_without_its_address_in_the_fabric_it_is_alone(fargate: Bed) -> None:
    address = IPv4Network((int(fargate.address("lone")), 32))
    ways = [f for f in fargate.state if isinstance(f, Route) and f.dst == address]
    ways = [route for route in ways if route.ns == "vpc-main"]

    assert ways
    with fargate.without(*ways):
        assert not fargate.briefly.tcp("client", "lone", HTTP).delivered
        assert not fargate.briefly.tcp("batch.job-0", "lone", HTTP).delivered
        assert fargate.tcp("client", "batch.job-0", HTTP).delivered, "control"
    assert fargate.tcp("client", "lone", HTTP).delivered


def test_a_service_with_its_endpoint_on_fargate(fargate: Bed) -> None:
    """The node's kube-proxy translates; the pod sees the client's own address."""
    seen = ask(fargate, "client", "lone")

    assert '"pod": "lone"' in seen
    assert f'"client": "{fargate.address("client")}:' in seen


def test_it_reaches_services_by_the_kube_proxy_beside_it(fargate: Bed) -> None:
    seen = ask(fargate, "lone", "client")
    assert f'"client": "{fargate.address("lone")}:' in seen

    services = fargate.fact(Chain, ns="lone", table="nat", name="KUBE-SERVICES")
    fargate.change(fargate.state - {services} | {replace(services, rules=())})
    try:
        assert ask(fargate.briefly, "lone", "client") == ""
        assert '"pod": "client"' in ask(fargate, "batch.job-0", "client.default"), "control"
    finally:
        fargate.change(fargate.state)


def test_it_leaves_by_the_nat_gateway_with_its_own_address(fargate: Bed) -> None:
    """No node translates it first: the gateway is the only one to."""
    [nat] = [eni for eni in fargate.allocations.enis if eni.instance == "nat-a"]
    assert f'"client": "{nat.public_ip}:' in ask(fargate, "lone", OUTSIDE)

    way = fargate.fact(Route, ns="lone", table=254, dst=IPv4Network("0.0.0.0/0"))
    with fargate.without(way):
        assert ask(fargate.briefly, "lone", OUTSIDE) == ""
        assert '"pod"' in ask(fargate, "client", OUTSIDE), "control"


def test_it_has_no_instance_metadata(fargate: Bed) -> None:
    assert not fargate.briefly.tcp("lone", METADATA, HTTP).delivered
    assert fargate.tcp("node-1", METADATA, HTTP).delivered, "control"


def test_path_and_prediction_know_it(fargate: Bed) -> None:
    assert [hop.ns for hop in fargate.path("client", "lone").hops] == [
        "client",
        "node-1",
        "vpc-main",
        "lone",
    ]


def test_its_security_group_is_the_clusters(beds: Callable[[Lab], Bed], topologies: Path) -> None:
    """In from itself, out to all: without the rule for itself nobody reaches it."""
    lab = with_cluster(
        load(topologies / "fargate.yaml"), control_plane=ControlPlane(endpoint_private_access=True)
    )

    def guarded(*ingress: GroupRule) -> Lab:
        group = SecurityGroup("eks-cluster-sg-eks", ingress=ingress)
        return check(replace(lab, vpcs=(replace(lab.vpcs[0], security_groups=(group,)),)))

    bed = beds(guarded(GroupRule(group="eks-cluster-sg-eks")))
    assert bed.tcp("client", "lone", HTTP).delivered
    assert bed.http("api-eks-0", "lone", KUBELET).delivered, "logs and exec"

    bed.up(guarded())
    assert not bed.briefly.tcp("client", "lone", HTTP).delivered
    assert bed.path("client", "lone").code == "SG_HAS_NO_RULES"


def test_a_pod_moves_to_fargate_and_back(beds: Callable[[Lab], Bed], topologies: Path) -> None:
    on = load(topologies / "fargate.yaml")
    off = with_cluster(on, fargate_profiles=())
    bed = beds(off)
    for lab, node in ((on, "lone"), (off, "node-1")):
        bed.up(lab)
        assert bed.pod("lone").node == node
        assert bed.tcp("client", "lone", HTTP).delivered
        assert '"pod": "client"' in ask(bed, "lone", "client")
        assert not bed.drift()
