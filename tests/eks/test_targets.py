"""AWS's own examples of what a node holds: pods come one by one, ipamD settles after each.

amazon-vpc-cni-k8s, docs/eni-and-ip-target.md and docs/prefix-and-ip-target.md.
"""

from ipaddress import IPv4Network
from typing import Any

import pytest
from pydantic import TypeAdapter

from testbed.allocations import Allocations, allocate
from testbed.eks.environment import CniSettings
from testbed.eks.model import EksCluster
from testbed.kubernetes.model import Node, Pod
from testbed.lab import Lab
from testbed.vpc.model import Subnet, Vpc


def lab(pods: int, instance_type: str, **env: Any) -> Lab:
    subnet = Subnet("a", IPv4Network("10.0.0.0/20"), "us-west-2a")
    cluster = EksCluster(
        "eks",
        "main",
        (Node("n1", "a", instance_type),),
        Pod.replicas("p", pods),
        env=TypeAdapter(CniSettings).validate_python(env),
    )
    return Lab("test", (Vpc("main", (IPv4Network("10.0.0.0/16"),), (subnet,)),), (cluster,))


def held(found: Allocations) -> list[int]:
    """Secondary addresses or prefixes on each ENI, most first."""
    assert found.pending == (), "every pod has an address"
    return sorted((eni.slots - 1 for eni in found.enis), reverse=True)


@pytest.mark.parametrize(
    ("instance_type", "warm", "minimum", "pods", "per_eni"),
    [
        ("t3.small", None, None, 0, [3]),
        ("t3.small", None, None, 5, [3, 3, 3]),
        ("t3.small", None, None, 9, [3, 3, 3]),
        ("t3.small", 1, 1, 0, [1]),
        ("t3.small", 1, 1, 5, [3, 3]),
        ("t3.small", 1, 1, 9, [3, 3, 3]),
        ("t3.small", 2, 5, 0, [3, 2]),
        ("t3.small", 2, 5, 5, [3, 3, 1]),
        ("t3.small", 2, 5, 9, [3, 3, 3]),
        ("p3dn.24xlarge", None, None, 0, [49]),
        ("p3dn.24xlarge", None, None, 3, [49, 49]),
        ("p3dn.24xlarge", None, None, 95, [49, 49, 49]),
        ("p3dn.24xlarge", 5, 10, 0, [10]),
        ("p3dn.24xlarge", 5, 10, 7, [12]),
        ("p3dn.24xlarge", 5, 10, 15, [20]),
        ("p3dn.24xlarge", 5, 10, 45, [49, 1]),
    ],
)
def test_secondary_addresses(
    instance_type: str, warm: int | None, minimum: int | None, pods: int, per_eni: list[int]
) -> None:
    targets = {"WARM_IP_TARGET": warm, "MINIMUM_IP_TARGET": minimum} if warm else {}

    assert held(allocate(lab(pods, instance_type, **targets))) == per_eni


@pytest.mark.parametrize(
    ("warm", "minimum", "pods", "per_eni"),
    [
        (None, None, 0, [1]),
        (None, None, 5, [2]),
        (None, None, 16, [2]),
        (None, None, 17, [3]),
        (None, None, 58, [3, 2]),
        (1, 1, 0, [1]),
        (1, 1, 5, [1]),
        (1, 1, 17, [2]),
        (1, 1, 58, [3, 1]),
        (7, 20, 0, [2]),  # the page's row says 1 and 0,0 at once; the formula gives 2
        (7, 20, 5, [2]),
        (7, 20, 17, [2]),
        (7, 20, 58, [3, 2]),
    ],
)
def test_prefixes_of_a_t3_small(
    warm: int | None, minimum: int | None, pods: int, per_eni: list[int]
) -> None:
    targets = {"WARM_IP_TARGET": warm, "MINIMUM_IP_TARGET": minimum} if warm else {}

    found = allocate(lab(pods, "t3.small", ENABLE_PREFIX_DELEGATION="true", **targets))

    assert held(found) == per_eni
    assert {len(eni.secondary) for eni in found.enis} == {0}


def test_switching_the_mode_leaves_running_pods_their_addresses() -> None:
    """What they do not use goes back to the subnet; new pods get addresses of the other kind."""
    before = allocate(lab(2, "t3.small"))

    after = allocate(lab(3, "t3.small", ENABLE_PREFIX_DELEGATION="true"), before)

    assert after.pods[:2] == before.pods
    assert after.pods[2].ip in after.enis[0].prefixes[0]
    assert sorted(after.enis[0].secondary) == [pod.ip for pod in before.pods]
    back = allocate(lab(1, "t3.small"), after)
    assert {prefix for eni in back.enis for prefix in eni.prefixes} == set()


def test_a_second_run_changes_nothing_with_prefixes_either() -> None:
    wanted = lab(30, "t3.small", ENABLE_PREFIX_DELEGATION="true")
    first = allocate(wanted)

    assert allocate(wanted, first) == first


def test_scattered_addresses_leave_pods_waiting_with_ec2_s_words() -> None:
    """A /27 has no aligned block that AWS keeps nothing of."""
    wanted = lab(1, "t3.small", ENABLE_PREFIX_DELEGATION="true")
    tiny = Subnet("a", IPv4Network("10.0.0.0/27"), "us-west-2a")
    vpc = Vpc("main", wanted.vpcs[0].cidrs, (tiny,))

    [pending] = allocate(Lab("test", (vpc,), wanted.clusters)).pending

    assert pending.reason == (
        "failed to assign an IP address to container: The specified subnet does not have enough"
        " free cidr blocks to satisfy the request. (InsufficientCidrBlocks)"
    )
