"""How many pods a node takes, as EKS and AWS's script for the other modes say."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from testbed.eks.environment import CniSettings
from testbed.eks.limits import kubelet_max_pods, room
from testbed.eks.model import EksCluster, Profile
from testbed.kubernetes.model import Node


def most(instance_type: str, profile: Profile = "current", **env: Any) -> int:
    node = Node("n1", "a", instance_type)
    settings = TypeAdapter(CniSettings).validate_python(env)
    return kubelet_max_pods(
        EksCluster("eks", "main", (node,), profile=profile, env=settings), node
    )


CUSTOM = {"AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "true"}
PREFIX = {"ENABLE_PREFIX_DELEGATION": "true"}


@pytest.mark.parametrize(
    ("instance_type", "env", "pods"),
    [
        ("t3.small", {}, 11),
        ("m5.24xlarge", {}, 737),  # amazon-vpc-cni-k8s, misc/eni-max-pods.txt: no limit there
        ("m5.large", {"MAX_ENI": 2}, 29),  # the file does not know it
        ("t3.small", CUSTOM, 8),
        ("m5.large", CUSTOM, 20),
        ("m5.24xlarge", CUSTOM, 250),
        ("t3.nano", PREFIX, 34),
        ("t3.small", PREFIX, 110),
        ("m5.large", PREFIX, 110),
        ("m5.4xlarge", PREFIX, 110),  # 16 vCPUs
        ("m5.8xlarge", PREFIX, 250),  # 32
        ("c5.9xlarge", PREFIX, 250),
        ("t3.nano", PREFIX | CUSTOM, 18),
        ("t3.small", PREFIX | {"MAX_ENI": 1}, 50),
        ("m4.large", PREFIX, 20),  # Xen: falls back to addresses
        ("c5.metal", PREFIX, 250),  # ipamD takes prefixes there, but the script sees no nitro
        ("hpc7a.12xlarge", PREFIX, 110),  # 24 vCPUs
        ("a1.metal", CUSTOM, 110),
    ],
)
def test_max_pods(instance_type: str, env: dict[str, Any], pods: int) -> None:
    assert most(instance_type, **env) == pods


def test_v1_5_knows_no_prefixes() -> None:
    assert most("t3.small", "slides", **PREFIX) == 11


def test_a_node_s_own_number_wins_and_two_pods_are_the_system_s() -> None:
    node = Node("n1", "a", "t3.small", max_pods=5)
    cluster = EksCluster("eks", "main", (node,))

    assert (kubelet_max_pods(cluster, node), room(cluster, node)) == (5, 3)
