"""The control plane: nodes reach the API, the API reaches kubelets, each by the way it is told."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.eks.control_plane import endpoint_name
from testbed.eks.model import ControlPlane, EksCluster
from testbed.lab import Lab
from testbed.lab.checks import check
from testbed.load import load
from testbed.net.facts import Route
from testbed.vpc.security.model import GroupRule, Range, SecurityGroup

pytestmark = pytest.mark.kernel

HTTPS, KUBELET = 443, 10250
ITSELF = GroupRule(group="eks-cluster-sg-eks")


def with_plane(lab: Lab, plane: ControlPlane, group: SecurityGroup | None = None) -> Lab:
    """The lab with a control plane in its private subnets.  group: nodes' and API servers'."""
    [cluster] = lab.clusters
    assert isinstance(cluster, EksCluster)
    groups = (group,) if group else ()
    cluster = replace(cluster, control_plane=plane, subnets=("private-a", "private-b"))
    vpcs = (replace(lab.vpcs[0], security_groups=groups),)
    return check(replace(lab, vpcs=vpcs, clusters=(cluster,)))


@pytest.fixture(scope="module")
def private(topologies: Path) -> Iterator[Bed]:
    """Both endpoints, and the cluster security group on nodes and API servers."""
    plane = ControlPlane(endpoint_private_access=True)
    group = SecurityGroup("eks-cluster-sg-eks", ingress=(ITSELF,))
    with bring_up(with_plane(load(topologies / "eks.yaml"), plane, group)) as up:
        yield up


def api(bed: Bed) -> str:
    [cluster] = bed.lab.clusters
    assert isinstance(cluster, EksCluster)
    return endpoint_name(cluster, bed.lab.vpcs[0])


def ask(bed: Bed, place: str) -> str:
    """What the API says it saw; empty for no answer."""
    return bed.run(
        place, "curl", "-s", "-m", f"{bed.patience_s}", f"http://{api(bed)}:{HTTPS}/"
    ).stdout


def test_its_network_interfaces_are_in_two_zones_of_the_clusters_subnets(private: Bed) -> None:
    enis = [eni for eni in private.allocations.enis if eni.instance.startswith("api-")]

    assert [(eni.instance, eni.vpc, eni.subnet) for eni in enis] == [
        ("api-eks-0", "main", "private-a"),
        ("api-eks-1", "main", "private-b"),
    ]


@pytest.mark.parametrize("place", ["node-1", "node-2", "web-4"])
def test_with_private_access_the_name_leads_to_them_inside_the_vpc(
    private: Bed, place: str
) -> None:
    """Nodes and pods stay in the VPC: the API sees their private addresses."""
    seen = ask(private, place)

    assert '"pod": "api-eks-' in seen
    assert f'"client": "{private.address(place)}:' in seen


def test_from_outside_the_same_name_leads_to_the_public_endpoint(private: Bed) -> None:
    assert '"local": "198.51.100.1' in ask(private, "internet")


@pytest.mark.parametrize("node", ["node-1", "node-2", "node-3"])
@pytest.mark.parametrize("server", ["api-eks-0", "api-eks-1"])
def test_the_api_reaches_every_kubelet(private: Bed, server: str, node: str) -> None:
    """logs, exec, port-forward: from the API server to port 10250."""
    assert private.http(server, node, KUBELET).delivered


def test_without_the_rule_for_itself_the_api_reaches_no_kubelet(
    beds: Callable[[Lab], Bed], topologies: Path
) -> None:
    """The commonest failure: nodes join, for they may call, but exec and logs time out."""
    closed = SecurityGroup(
        "eks-cluster-sg-eks",
        ingress=(
            GroupRule(protocol="tcp", ports=Range(HTTPS, HTTPS), group="eks-cluster-sg-eks"),
        ),
    )
    plane = ControlPlane(endpoint_private_access=True)
    bed = beds(with_plane(load(topologies / "eks.yaml"), plane, closed))

    assert "api-eks-" in ask(bed, "node-1"), "control: the node reaches the API"
    assert not bed.briefly.tcp("api-eks-0", "node-1", KUBELET).delivered
    assert bed.path("api-eks-0", "node-1").code == "ENI_SG_RULES_MISMATCH"


def test_with_public_access_only_nodes_need_their_way_out(
    beds: Callable[[Lab], Bed], topologies: Path
) -> None:
    """The API sees the NAT gateway; kubelets are reached from inside all the same."""
    bed = beds(with_plane(load(topologies / "eks.yaml"), ControlPlane()))
    [nat] = [eni for eni in bed.allocations.enis if eni.instance == "nat-a"]

    assert f'"client": "{nat.public_ip}:' in ask(bed, "node-1")
    assert bed.http("api-eks-0", "node-1", KUBELET).delivered

    way = bed.fact(Route, ns="vpc-main", table=2, dst=IPv4Network("0.0.0.0/0"))
    with bed.without(way):
        assert ask(bed.briefly, "node-1") == ""
        assert "api-eks-" in ask(bed, "node-2"), "control: the other zone's table"
        assert bed.http("api-eks-0", "node-1", KUBELET).delivered


def test_the_public_endpoint_takes_calls_from_some_only(
    beds: Callable[[Lab], Bed], topologies: Path
) -> None:
    """Private nodes call by their NAT gateway, whose address is to be among them."""
    lab = load(topologies / "eks.yaml")
    hosts = IPv4Network("203.0.113.0/24"), IPv4Network("198.51.100.0/25")
    some = ControlPlane(public_access_cidrs=hosts)
    bed = beds(with_plane(lab, some))
    endpoint = "198.51.100.129"

    assert "api-eks-" in ask(bed, "internet"), "control: hosts of the internet"
    assert ask(bed.briefly, "node-1") == ""
    assert bed.path("node-1", endpoint).code == "X_PUBLIC_ACCESS_CIDRS"
    assert bed.http("api-eks-0", "node-1", KUBELET).delivered, "the other way is not asked"
    assert not bed.drift()

    [nat] = [eni for eni in bed.allocations.enis if eni.instance == "nat-a"]
    theirs = IPv4Network(str(nat.public_ip))
    bed.up(with_plane(lab, replace(some, public_access_cidrs=(theirs,))))

    assert f'"client": "{nat.public_ip}:' in ask(bed, "node-1")
    assert ask(bed.briefly, "internet") == ""


def test_with_private_access_only_nobody_outside_reaches_it(
    beds: Callable[[Lab], Bed], topologies: Path
) -> None:
    plane = ControlPlane(endpoint_public_access=False, endpoint_private_access=True)
    bed = beds(with_plane(load(topologies / "eks.yaml"), plane))

    assert ask(bed.briefly, "internet") == ""
    assert "api-eks-" in ask(bed, "node-1")
