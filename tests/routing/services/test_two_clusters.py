"""A kops and an EKS cluster in one VPC, with Services and load balancers of the same names."""

import json
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.eks.model import EksCluster
from testbed.kubernetes.model import Node, Pod, Service, ServicePort
from testbed.lab import Lab, hostname, load_balancers
from testbed.load import load
from tests.routing.load_balancers.checking import QUICK

pytestmark = pytest.mark.kernel

SERVICES = (
    Service("web", {"app": "web"}, (ServicePort(80),), type="LoadBalancer", health_check=QUICK),
    Service("peers", {"app": "web"}, (ServicePort(80),), cluster_ip="None"),
)
OWN = {"client": "web-0", "caller": "web-9"}  # of each cluster: who calls, and who answers


def described(topologies: Path) -> Lab:
    lab = load(topologies / "kops.yaml")
    kops = replace(lab.clusters[0], pods=(Pod("web-0"), Pod("client")), services=SERVICES)
    eks = EksCluster(
        "eks",
        "main",
        (Node("worker-1", "public-a", "t3.small"),),
        pods=(Pod("web-9"), Pod("caller")),
        services=SERVICES,
        service_cidr=IPv4Network("10.100.0.0/16"),
    )
    return replace(lab, clusters=(kops, eks))


@pytest.fixture(scope="module")
def bed(topologies: Path) -> Iterator[Bed]:
    with bring_up(described(topologies)) as up:
        yield up


def curl(bed: Bed, source: str, host: str) -> Any:
    argv = ("curl", "-sS", "--max-time", f"{bed.patience_s}", f"http://{host}/")
    return json.loads(bed.run(source, *argv).stdout)


@pytest.mark.parametrize("caller", OWN)
def test_a_pod_means_its_own_clusters_services(bed: Bed, caller: str) -> None:
    """Both clusters' domain is cluster.local; each has a DNS server that knows its own."""
    peers = bed.run(caller, "getent", "ahostsv4", "peers").stdout.split()

    assert curl(bed, caller, "web")["pod"] == OWN[caller]
    assert peers[0] == str(bed.pod(OWN[caller]).ip)


def test_the_vpcs_server_knows_neither(bed: Bed) -> None:
    """At AWS it never does: cluster.local is CoreDNS'."""
    argv = ("getent", "hosts", "web.default.svc.cluster.local")

    assert bed.run("worker-1", *argv).stdout == ""
    assert bed.run("client", *argv).stdout != "", "control"


def test_each_has_a_load_balancer_of_its_own(bed: Bed, topologies: Path) -> None:
    """The internet tells them by their names, and pods are told of both."""
    lab = described(topologies)
    names = {cluster.name: hostname(lab, cluster, SERVICES[0]) for cluster in lab.clusters}

    for source in ("internet", "caller"):
        seen = {cluster: curl(bed, source, name)["pod"] for cluster, name in names.items()}
        assert seen == {"kops": "web-0", "eks": "web-9"}
    assert len({one.netns for _, one in load_balancers(lab)}) == len([*load_balancers(lab)])
