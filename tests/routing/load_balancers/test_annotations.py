"""What annotations make of load balancers, in real connections."""

import json
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.kubernetes.load_balancers.annotations import PREFIX
from testbed.kubernetes.model import Service, ServicePort
from testbed.lab import Lab, hostname
from testbed.load import load
from tests.routing.load_balancers.checking import QUICK
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

ZONE_A, ZONE_B = "elb-web-us-west-2a", "elb-web-us-west-2b"


@pytest.fixture
def served(topologies: Path, beds: Callable[[Lab], Bed]) -> Callable[..., Bed]:
    """Brings a shipped lab up with one load balancer, of these annotations."""

    def up(name: str, *, policy: str = "Cluster", **annotations: str) -> Bed:
        lab = load(topologies / f"{name}.yaml")
        [cluster] = lab.clusters
        service = Service(
            "web",
            {"app": "web"},
            (ServicePort(80),),
            type="LoadBalancer",
            health_check=QUICK,
            external_traffic_policy=policy,  # type: ignore[arg-type]  # one of the two
            annotations={
                PREFIX + key.replace("_", "-"): text for key, text in annotations.items()
            },
        )
        return beds(replace(lab, clusters=(replace(cluster, services=(service,)),)))

    return up


def curl(bed: Bed, source: str, address: object) -> str:
    """What was answered; empty for nothing."""
    patience = f"{bed.patience_s}"
    return bed.run(source, "curl", "-sS", "--max-time", patience, f"http://{address}/").stdout


def name(bed: Bed) -> str:
    """The load balancer's DNS name."""
    [cluster] = bed.lab.clusters
    return hostname(bed.lab, cluster, cluster.services[0])


def address(bed: Bed, balancer: str) -> IPv4Address:
    """Where a zone's load balancer is reached."""
    [eni] = [eni for eni in bed.allocations.enis if eni.instance == balancer]
    return eni.public_ip or eni.primary


@pytest.mark.parametrize("cluster", ["eks", "kops"])
def test_an_internal_one_serves_the_vpc_and_nobody_else(
    served: Callable[..., Bed], cluster: str
) -> None:
    bed = served(cluster, internal="true")

    assert '"pod": "web-' in curl(bed, "client", name(bed))
    outside = curl(bed.briefly, "internet", name(bed))
    assert outside == "", "the name is told, its addresses are private"


def test_cross_zone_balancing_spreads_over_the_nodes_of_all_zones(
    served: Callable[..., Bed],
) -> None:
    """All pods are on node-1: each pod sees the node that the balancer had chosen."""
    bed = served("eks", cross_zone_load_balancing_enabled="true")
    nodes = {str(bed.address(node)) for node in ("node-1", "node-2", "node-3")}

    answers = [curl(bed, "internet", address(bed, ZONE_B)) for _ in range(12)]

    assert {
        node for node in nodes for answer in answers if f'"client": "{node}:' in answer
    } == nodes


def test_the_proxy_protocol_tells_the_pod_who_called(served: Callable[..., Bed]) -> None:
    """The connection itself comes from the node; what the proxy says of it does not."""
    bed = served("eks", proxy_protocol="*")

    told = f'"proxied": "{bed.address("internet")}:'
    assert told in curl(bed, "internet", name(bed))


def test_tls_ends_at_the_balancer_and_requests_tell_who_sent_them(
    served: Callable[..., Bed],
) -> None:
    """The certificate is the lab's own, so nobody vouches for it."""
    bed = served("kops", ssl_cert="arn:aws:acm:1", backend_protocol="http")

    refused = bed.run("internet", "curl", "-sS", "--max-time", "5", f"https://{name(bed)}:80/")
    assert (refused.returncode, refused.stdout) == (60, ""), "curl: it knows no such authority"
    called = ["curl", "-sSk", "--max-time", "5", "-H", "X-Forwarded-For: 192.0.2.1"]
    answer = json.loads(bed.run("internet", *called, f"https://{name(bed)}:80/").stdout)
    assert answer["x-forwarded-for"] == f"192.0.2.1, {bed.address('internet')}"
    assert (answer["x-forwarded-proto"], answer["x-forwarded-port"]) == ("https", "80")


def test_a_zone_without_a_healthy_node_leaves_the_name_in_a_kops_cluster_too(
    served: Callable[..., Bed],
) -> None:
    """node-2 alone is in zone b, and has no pod: policy Local."""
    bed = served("kops", policy="Local")
    [cluster] = bed.lab.clusters
    pods = tuple(
        replace(pod, node="node-1") if pod.name.startswith("web-") else pod for pod in cluster.pods
    )
    both = {str(address(bed, zone)) for zone in (ZONE_A, ZONE_B)}

    def told() -> set[str]:
        bed.follow_balancers()
        found = bed.run("internet", "getent", "ahostsv4", name(bed)).stdout
        return {line.split()[0] for line in found.splitlines()}

    wait_until(lambda: told() == both)
    bed.up(replace(bed.lab, clusters=(replace(cluster, pods=pods),)))
    wait_until(lambda: told() == both - {str(address(bed, ZONE_B))})
    assert '"node": "node-1"' in curl(bed, "internet", name(bed))


def test_with_policy_local_only_nodes_with_an_endpoint_are_in_service(
    served: Callable[..., Bed],
) -> None:
    """Health checks ask healthCheckNodePort: all pods are on node-1, so zone b has no target."""
    bed = served("eks", policy="Local", cross_zone_load_balancing_enabled="true")
    wanted = {"node-1": "InService", "node-2": "OutOfService", "node-3": "OutOfService"}

    def states() -> dict[str, str]:
        return {one.target: state for one, state in bed.target_states(ZONE_B).items()}

    wait_until(lambda: states() == wanted)
    answer = curl(bed, "internet", address(bed, ZONE_B))
    [eni] = [eni for eni in bed.allocations.enis if eni.instance == ZONE_B]

    assert f'"client": "{eni.primary}:' in answer, "not translated: the pod sees the balancer"
