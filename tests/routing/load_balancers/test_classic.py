"""From the internet through a load balancer and a node port to a pod, and whom each one saw."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.kubernetes.model import Service, ServicePort
from testbed.load import load
from testbed.net.facts import Chain, NftElement
from testbed.services.load_balancers.naming import dns_name
from tests.routing.load_balancers.checking import QUICK
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

WEB = Service("web", {"app": "web"}, (ServicePort(80),), type="LoadBalancer", health_check=QUICK)
NAME = dns_name("eks", WEB, "us-west-2")
ZONE_A, ZONE_B = "elb-web-us-west-2a", "elb-web-us-west-2b"
IN, OUT = "InService", "OutOfService"


@pytest.fixture(scope="module")
def bed(topologies: Path) -> Iterator[Bed]:
    """The EKS lab with one load balancer; all its pods are on node-1."""
    lab = load(topologies / "eks.yaml")
    [cluster] = lab.clusters
    with bring_up(replace(lab, clusters=(replace(cluster, services=(WEB,)),))) as up:
        yield up


def public(bed: Bed, balancer: str) -> str:
    """The public address of the load balancer in a zone."""
    [eni] = [eni for eni in bed.allocations.enis if eni.instance == balancer]
    return str(eni.public_ip)


def curl(bed: Bed, source: str, url: str) -> dict[str, str]:
    """What the pod that answered said; empty when none did."""
    result = bed.run(source, "curl", "-sS", "--max-time", f"{bed.patience_s}", url)
    answer: dict[str, str] = json.loads(result.stdout) if result.returncode == 0 else {}
    return answer


def client(answer: dict[str, str]) -> IPv4Address:
    """Whom the pod saw."""
    return IPv4Address(answer["client"].rsplit(":", 1)[0])


def states(bed: Bed, balancer: str) -> dict[str, str]:
    """The targets of a load balancer, as it judges them."""
    return {one.target: state for one, state in bed.target_states(balancer).items()}


@contextmanager
def without_node_ports(bed: Bed, *nodes: str) -> Iterator[None]:
    """The lab while nobody listens on these nodes' node ports."""
    chains = {bed.fact(Chain, ns=node, table="nat", name="KUBE-NODEPORTS") for node in nodes}
    bed.change(bed.state - chains | {replace(chain, rules=()) for chain in chains})
    try:
        yield
    finally:
        bed.change(bed.state)


def test_the_internet_reaches_a_pod_by_the_load_balancers_name(bed: Bed) -> None:
    """The name, asked of a real DNS server; the ELB; a node port; a pod."""
    seen = curl(bed, "internet", f"http://{NAME}/")

    assert seen["pod"].startswith("web-")


def test_a_node_passes_the_connection_on_to_a_pod_of_another_node(bed: Bed) -> None:
    """externalTrafficPolicy Cluster: a second hop, and the pod sees the first node."""
    assert {place.node for place in bed.allocations.pods if place.pod.startswith("web-")} == {
        "node-1"
    }, "premise"

    seen = curl(bed, "internet", f"http://{public(bed, ZONE_B)}/")

    assert seen["node"] == "node-1"
    assert client(seen) == bed.address("node-2"), "zone b's only node"


def test_no_pod_sees_the_client(bed: Bed) -> None:
    """A Classic ELB is a proxy, and kube-proxy translates its address once more."""
    nodes = {bed.address("node-1"), bed.address("node-3")}

    seen = {client(curl(bed, "internet", f"http://{public(bed, ZONE_A)}/")) for _ in range(6)}

    assert seen == nodes, "round robin over the nodes of its zone"


def test_the_node_sees_the_load_balancer(bed: Bed) -> None:
    """Its address in the public subnet, not the client's."""
    [balancer] = [eni for eni in bed.allocations.enis if eni.instance == ZONE_B]
    before = _connections(bed, "node-2", balancer.primary)

    curl(bed, "internet", f"http://{public(bed, ZONE_B)}/")

    assert _connections(bed, "node-2", balancer.primary) >= before > 0, "and its health checks"
    assert _connections(bed, "node-2", bed.address("internet")) == 0


def _connections(bed: Bed, node: str, source: object) -> int:
    """The node's tracked connections from an address."""
    listed = bed.run(node, "conntrack", "-L", "-p", "tcp", "--orig-src", str(source))
    return listed.stdout.count(f"src={source}")


@pytest.mark.parametrize("place", ["client", "web-0", "node-2"])
def test_the_name_works_inside_the_vpc_too(bed: Bed, place: str) -> None:
    """It stands for public addresses: out by the NAT gateway, and in again."""
    seen = curl(bed, place, f"http://{NAME}/")

    assert seen["pod"].startswith("web-")


def test_a_node_whose_node_port_is_dead_is_taken_out(bed: Bed) -> None:
    """The health check finds it; the other node of the zone takes all connections."""
    wait_until(lambda: states(bed, ZONE_A) == {"node-1": IN, "node-3": IN})

    with without_node_ports(bed, "node-3"):
        wait_until(lambda: states(bed, ZONE_A) == {"node-1": IN, "node-3": OUT})
        answers = [curl(bed, "internet", f"http://{public(bed, ZONE_A)}/") for _ in range(4)]
        assert {client(answer) for answer in answers} == {bed.address("node-1")}

    wait_until(lambda: states(bed, ZONE_A) == {"node-1": IN, "node-3": IN})
    assert not bed.drift()


def test_a_connection_is_tried_again_before_the_health_check_knows(bed: Bed) -> None:
    """BackendConnectionErrors: the load balancer goes on to another node."""
    with without_node_ports(bed, "node-3"):
        answers = [curl(bed, "internet", f"http://{public(bed, ZONE_A)}/") for _ in range(4)]

    assert all(answers)


def test_without_a_healthy_node_connections_are_closed(bed: Bed) -> None:
    """A Classic ELB does not fail open."""
    with without_node_ports(bed, "node-1", "node-3"):
        wait_until(lambda: states(bed, ZONE_A) == {"node-1": OUT, "node-3": OUT})

        assert curl(bed, "internet", f"http://{public(bed, ZONE_A)}/") == {}
        assert curl(bed, "internet", f"http://{public(bed, ZONE_B)}/"), "control: the other zone"

    wait_until(lambda: IN in states(bed, ZONE_A).values())
    assert curl(bed, "internet", f"http://{public(bed, ZONE_A)}/")


def healthy(bed: Bed, balancer: str) -> bool:
    """Whether a zone has a target."""
    return IN in states(bed, balancer).values()


def named(bed: Bed) -> set[str]:
    """The addresses that the internet is told now."""
    bed.follow_balancers()
    lines = bed.run("internet", "getent", "ahostsv4", NAME).stdout.splitlines()
    return {line.split()[0] for line in lines}


def test_a_zone_without_a_healthy_node_leaves_the_name_and_comes_back(bed: Bed) -> None:
    """Clients go to the other zone; when that is dead too, both are told."""
    a, b = public(bed, ZONE_A), public(bed, ZONE_B)
    assert named(bed) == {a, b}

    with without_node_ports(bed, "node-1", "node-3"):
        wait_until(lambda: named(bed) == {b})
        assert all(curl(bed, "internet", f"http://{NAME}/") for _ in range(3))

    wait_until(lambda: named(bed) == {a, b})

    with without_node_ports(bed, "node-1", "node-2", "node-3"):
        wait_until(lambda: not any(healthy(bed, zone) for zone in (ZONE_A, ZONE_B)))
        assert named(bed) == {a, b}
    wait_until(lambda: healthy(bed, ZONE_A) and healthy(bed, ZONE_B))


def test_without_the_public_addresss_pairing_nobody_gets_there(bed: Bed) -> None:
    """The internet gateway knows no such address then."""
    pairing = bed.fact(NftElement, ns="igw-main", set="ingress", element=public(bed, ZONE_A))

    with bed.without(pairing):
        assert not bed.briefly.tcp("internet", public(bed, ZONE_A), 80).delivered
        assert bed.tcp("internet", public(bed, ZONE_B), 80).delivered, "control: the other zone"

    assert bed.tcp("internet", public(bed, ZONE_A), 80).delivered


def test_a_port_the_service_does_not_have_is_refused(bed: Bed) -> None:
    assert bed.tcp("internet", public(bed, ZONE_A), 81).verdict == "refused"


def test_a_labs_programs_end_with_it(topologies: Path) -> None:
    """By their process ids: nothing is left."""
    lab = load(topologies / "eks.yaml")
    [cluster] = lab.clusters
    with bring_up(replace(lab, clusters=(replace(cluster, services=(WEB,)),))) as up:
        pids = up.supervisor.pids()
        assert {name for _, name in pids} == {"dnsmasq", "haproxy"}
        assert all(Path(f"/proc/{pid}").exists() for pid in pids.values())
        directory = up.supervisor.directory(ZONE_A, "haproxy")

    assert not any(Path(f"/proc/{pid}").exists() for pid in pids.values())
    assert not directory.exists()
