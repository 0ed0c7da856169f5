"""The workshop's node as facts: two ENIs, Pod1 on eth0 and Pod2 on eth1."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

import pytest
from pydantic import TypeAdapter

from testbed.eks.environment import CniSettings
from testbed.eks.model import ConnmarkBackend, EksCluster, Profile
from testbed.eks.wiring.node import node_facts
from testbed.eks.wiring.pod import pod_facts
from testbed.kubernetes.model import Node, Pod
from testbed.kubernetes.placement import PodAddress
from testbed.net.facts import Fact
from testbed.vpc.eni import Eni
from testbed.vpc.model import Subnet, Vpc


def eni(device_index: int, *addresses: str) -> Eni:
    return Eni(
        id=f"eni-{device_index}",
        mac=f"02:00:00:00:00:0{device_index}",
        vpc="main",
        subnet="a",
        addresses=tuple(map(IPv4Address, addresses)),
        instance="node-1",
        device_index=device_index,
    )


@pytest.fixture
def facts() -> Callable[..., frozenset[Fact]]:
    """`facts(profile, cidrs=…, **env)`: everything in the node and its two pods.

    eth0 is 10.10.0.10 and has Pod1's 10.10.0.101; eth1 is 10.10.0.20 and has Pod2's 10.10.0.102.
    """

    def planned(
        profile: Profile,
        cidrs: tuple[str, ...] = ("10.10.0.0/16",),
        backend: ConnmarkBackend = "iptables",
        **env: object,
    ) -> frozenset[Fact]:
        subnet = Subnet("a", IPv4Network("10.10.0.0/19"), "z1")
        vpc = Vpc("main", tuple(map(IPv4Network, cidrs)), (subnet,))
        node = Node("node-1", "a", "t3.small")
        settings = TypeAdapter(CniSettings).validate_python(env)
        cluster = EksCluster(
            "eks", "main", (node,), profile=profile, connmark_backend=backend, env=settings
        )
        enis = [eni(1, "10.10.0.20", "10.10.0.102"), eni(0, "10.10.0.10", "10.10.0.101")]
        pod_1 = PodAddress("pod-1", "eks", "node-1", 0, IPv4Address("10.10.0.101"))
        pod_2 = PodAddress("pod-2", "eks", "node-1", 1, IPv4Address("10.10.0.102"))
        return frozenset(
            [
                *node_facts(cluster, vpc, node, enis),
                *pod_facts(cluster, vpc, Pod("pod-1"), pod_1),
                *pod_facts(cluster, vpc, Pod("pod-2"), pod_2),
            ]
        )

    return planned
