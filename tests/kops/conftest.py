"""A small kops lab in values."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from testbed.kops.model import KopsCluster, KopsNode
from testbed.kubernetes.model import Pod
from testbed.lab import Lab
from testbed.vpc.model import INTERNET_GATEWAY, RouteEntry, RouteTable, Subnet, Vpc

VPC = Vpc(
    "main",
    (IPv4Network("172.20.0.0/16"),),
    (
        Subnet("a", IPv4Network("172.20.32.0/19"), "us-west-2a", map_public_ip_on_launch=True),
        Subnet("b", IPv4Network("172.20.64.0/19"), "us-west-2b", map_public_ip_on_launch=True),
    ),
    (RouteTable("main", (RouteEntry(IPv4Network("0.0.0.0/0"), INTERNET_GATEWAY),)),),
)


@pytest.fixture
def vpc() -> Vpc:
    """172.20.0.0/16 with a public subnet in two zones, and one route table."""
    return VPC


@pytest.fixture
def node() -> Callable[..., KopsNode]:
    """`node("n1", "100.96.7.0/24", last="100.96.7.10")`: a node in subnet a."""

    def made(
        name: str, pod_cidr: str = "", last: str = "", max_pods: int | None = None
    ) -> KopsNode:
        return KopsNode(
            name,
            "a",
            "t3.medium",
            pod_cidr=IPv4Network(pod_cidr) if pod_cidr else None,
            last_reserved_ip=IPv4Address(last) if last else None,
            max_pods=max_pods,
        )

    return made


@pytest.fixture
def cluster() -> Callable[..., KopsCluster]:
    """`cluster(nodes, pods, pod_cidr=…)`: a cluster in that VPC."""

    def made(
        nodes: tuple[KopsNode, ...], pods: tuple[Pod, ...] = (), **ranges: str
    ) -> KopsCluster:
        cidrs: dict[str, Any] = {name: IPv4Network(cidr) for name, cidr in ranges.items()}
        return KopsCluster("kops", "main", nodes, "kops", pods, (), **cidrs)

    return made


@pytest.fixture
def lab(cluster: Callable[..., KopsCluster]) -> Callable[..., Lab]:
    """The same as a lab."""

    def made(*args: object, **ranges: str) -> Lab:
        return Lab("test", (VPC,), (cluster(*args, **ranges),))

    return made
