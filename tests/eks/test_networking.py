"""What EKS wants of a cluster's subnets when it is created, and before its version is updated."""

import json
import subprocess
import sys
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from testbed.allocations import allocate
from testbed.eks.model import ControlPlane, EksCluster
from testbed.eks.networking import problems, service_cidr, upgrade_room, warnings
from testbed.kubernetes.model import Node, Pod
from testbed.lab import Lab
from testbed.plan import programs
from testbed.vpc.ec2 import Ec2
from testbed.vpc.model import Instance, Subnet, Vpc
from testbed.vpc.security.model import SecurityGroup

SMALL = """\
testbed: v1
name: small
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets:
      a: { cidr: 10.0.1.0/28, availabilityZone: us-west-2a }
      b: { cidr: 10.0.2.0/24, availabilityZone: us-west-2b }
clusters:
  eks:
    vpc: main
    nodes:
      node-1: { subnet: a, instanceType: t3.small }
    pods:
      web: { replicas: 6 }
    env: { WARM_ENI_TARGET: 0 }
"""


def vpc(**settings: object) -> Vpc:
    subnets = (
        Subnet("a", IPv4Network("10.0.1.0/28"), "us-west-2a"),
        Subnet("b", IPv4Network("10.0.2.0/24"), "us-west-2b"),
        Subnet("c", IPv4Network("10.0.3.0/24"), "us-west-2b"),
    )
    return Vpc("main", (IPv4Network("10.0.0.0/16"),), subnets, **settings)  # type: ignore[arg-type]


def cluster(*subnets: str) -> EksCluster:
    return EksCluster("eks", "main", (Node("node-1", "a", "t3.small"),), subnets=subnets)


@pytest.mark.parametrize(
    ("subnets", "key"),
    [((), ""), (("a", "b"), ""), (("b", "c"), "subnets"), (("a",), "subnets")],
)
def test_subnets_are_in_two_zones(subnets: tuple[str, ...], key: str) -> None:
    found = list(problems(cluster(*subnets), vpc()))

    assert [(one.key, one.code) for one in found] == (
        [(key, "InvalidParameterException")] if key else []
    )


def test_a_subnet_that_is_not_there() -> None:
    [found] = problems(cluster("a", "b", "d"), vpc())

    assert (found.key, found.code) == ("subnets[2]", "InvalidParameterException")


@pytest.mark.parametrize("attribute", ["enable_dns_support", "enable_dns_hostnames"])
def test_nodes_need_dns(attribute: str) -> None:
    [found] = problems(cluster(), vpc(**{attribute: False}))

    assert found.key == "vpc"
    assert "nodes need DNS" in found.message


def test_an_api_without_any_endpoint_is_refused() -> None:
    plane = ControlPlane(endpoint_public_access=False)
    [found] = problems(replace(cluster(), control_plane=plane), vpc())

    assert (found.key, found.code) == ("controlPlane", "InvalidParameterException")


@pytest.mark.parametrize("cidr", ["10.0.0.0/8", "192.168.7.0/24", "100.64.0.0/10", "127.0.0.0/8"])
def test_no_reserved_range_may_call_the_public_endpoint(cidr: str) -> None:
    """In the words of the API (aws/aws-cdk #33176)."""
    allowed = IPv4Network("203.0.113.0/24"), IPv4Network("0.0.0.0/0")
    plane = ControlPlane(public_access_cidrs=(*allowed, IPv4Network(cidr)))

    [found] = problems(replace(cluster(), control_plane=plane), vpc())

    assert (found.key, found.code) == (
        "controlPlane.publicAccessCidrs[2]",
        "InvalidParameterException",
    )
    assert found.message == f"The following CIDRs are invalid in publicAccessCidrs: [{cidr}]"


def test_forty_ranges_may_call_the_public_endpoint() -> None:
    many = tuple(IPv4Network(f"203.0.113.{i}/32") for i in range(41))

    few, all_of_them = (ControlPlane(public_access_cidrs=some) for some in (many[1:], many))
    assert list(problems(replace(cluster(), control_plane=few), vpc())) == []
    [found] = problems(replace(cluster(), control_plane=all_of_them), vpc())
    assert found.code == "ResourceLimitExceededException"


def test_the_groups_of_its_network_interfaces_are_there() -> None:
    plane = ControlPlane(security_groups=("nobody",))
    guarded = vpc(security_groups=(SecurityGroup("default"),))
    [found] = problems(replace(cluster(), control_plane=plane), guarded)

    assert (found.key, found.code) == ("controlPlane.securityGroups", "InvalidParameterException")


def test_without_dns_support_nobody_answers() -> None:
    """And without hostnames public addresses have no names."""
    deaf = Lab("deaf", (vpc(enable_dns_support=False),))
    assert [program.netns for program in programs(deaf, allocate(deaf))] == ["internet"]


def test_an_update_needs_six_free_addresses_in_each_subnet() -> None:
    """A /28 has 11; a node whose pods need a second interface has 8 and wants a third one."""
    pods = Pod.replicas("web", 7)
    lab = Lab(
        "lab", (vpc(),), (EksCluster("eks", "main", (Node("node-1", "a", "t3.small"),), pods),)
    )
    ec2 = Ec2(lab.vpcs, lab.internet, allocate(lab).enis)

    rooms = {room.subnet: room for room in upgrade_room(lab.clusters[0], lab.vpcs[0], ec2)}  # type: ignore[arg-type]
    assert rooms["a"].free <= 3
    assert rooms["a"].verdict == "too few"
    assert (rooms["b"].free, rooms["b"].verdict) == (251, "ok")


@pytest.mark.parametrize(
    ("before", "subnets", "key"), [(5, (), ""), (6, (), "vpc"), (6, ("a", "b"), "subnets")]
)
def test_a_new_cluster_wants_six_free_addresses_in_each_subnet(
    before: int, subnets: tuple[str, ...], key: str
) -> None:
    """Of a /28 five are left, when six instances are there already; nodes come later."""
    others = tuple(Instance(f"i-{i}", "a", "t3.small") for i in range(before))
    found = list(warnings(cluster(*subnets), vpc(instances=others)))

    assert [one.key for one in found] == ([key] if key else [])
    assert all("a has 5 free addresses" in one.message for one in found)


def test_subnets_of_others_may_be_full() -> None:
    others = tuple(Instance(f"i-{i}", "a", "t3.small") for i in range(6))

    assert list(warnings(cluster("b", "c"), vpc(instances=others))) == []


def test_the_command_says_which_subnet_is_short(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)

    words = [sys.executable, "-m", "testbed", "upgrade", str(file)]
    done = subprocess.run(
        [*words, "--dry-run", "-o", "json"], capture_output=True, text=True, timeout=30
    )
    assert [(row["subnet"], row["verdict"]) for row in json.loads(done.stdout)] == [
        ("a", "too few"),
        ("b", "ok"),
    ]
    assert done.returncode == 1
    assert "too few free addresses: a (" in done.stderr

    assert subprocess.run(words, capture_output=True, timeout=30).returncode == 2


@pytest.mark.parametrize(
    ("cidrs", "services"),
    [
        ("10.0.0.0/16", "172.20.0.0/16"),
        ("10.100.0.0/16", "172.20.0.0/16"),
        ("192.168.0.0/16", "10.100.0.0/16"),
        ("172.20.0.0/16", "10.100.0.0/16"),
        ("172.31.0.0/16 100.64.0.0/16", "10.100.0.0/16"),
        ("10.0.0.0/16 172.20.64.0/18", "10.100.0.0/16"),
        ("100.64.0.0/16 10.100.64.0/18", "172.20.0.0/16"),
    ],
)
def test_a_range_for_services_that_nobody_names_is_one_of_eks_two(
    cidrs: str, services: str
) -> None:
    """That of a VPC's own is never taken; what a cluster names is."""
    vpc = Vpc("main", tuple(map(IPv4Network, cidrs.split())), ())
    cluster = EksCluster("eks", vpc="main", nodes=())

    assert service_cidr(cluster, vpc) == IPv4Network(services)
    said = replace(cluster, service_cidr=IPv4Network("10.96.0.0/16"))
    assert service_cidr(said, vpc) == IPv4Network("10.96.0.0/16")
