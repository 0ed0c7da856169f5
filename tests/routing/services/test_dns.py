"""Names inside a lab, asked of the real DNS servers by the way real packets take."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.eks.model import EksCluster
from testbed.kubernetes.model import Node, Pod, Service, ServicePort
from testbed.lab import Lab
from testbed.load import load
from testbed.net.facts import NftElement, Route, Rule
from testbed.probes.sockets import socket_in
from testbed.services.load_balancers.naming import dns_name
from testbed.vpc.fabric.frames import GATEWAY_MAC, MACS
from testbed.vpc.model import RouteEntry, RouteTable, Subnet, Vpc
from tests.routing.services.dns_messages import AAAA, NOERROR, NXDOMAIN, A, answers, question

pytestmark = pytest.mark.kernel

WEB = Service("web", {"app": "web"}, (ServicePort(80),), type="LoadBalancer")
NAME = dns_name("eks", WEB, "us-west-2")
SERVER = "10.0.0.2"


@pytest.fixture(scope="module")
def bed(topologies: Path) -> Iterator[Bed]:
    """The EKS lab with a Service behind a load balancer."""
    lab = load(topologies / "eks.yaml")
    [cluster] = lab.clusters
    with bring_up(replace(lab, clusters=(replace(cluster, services=(WEB,)),))) as up:
        yield up


def looked_up(bed: Bed, place: str, name: str) -> set[str]:
    """What the C library makes of a name there: search domains, ndots and all."""
    lines = bed.run(place, "getent", "ahostsv4", name).stdout.splitlines()
    return {line.split()[0] for line in lines}


def asked(
    bed: Bed, place: str, name: str, kind: int = A, server: str = SERVER
) -> tuple[int, list[str]]:
    """One question in one datagram: the server's code, and the addresses it gave."""
    with socket_in(bed.store, place, kind=socket.SOCK_DGRAM) as client:
        client.settimeout(bed.patience_s)
        client.sendto(question(name, kind), (server, 53))
        code, found = answers(client.recv(4096))
    return code, [one.data for one in found]


def public_addresses(bed: Bed) -> set[str]:
    """Of the load balancer, in both zones."""
    enis = bed.allocations.enis
    return {str(eni.public_ip) for eni in enis if eni.interface_type == "load_balancer"}


@pytest.mark.parametrize("name", ["web", "web.default", "web.default.svc.cluster.local"])
def test_a_pod_finds_a_service_by_its_short_and_its_full_name(bed: Bed, name: str) -> None:
    for pod in ("web-0", "web-4", "client"):
        assert looked_up(bed, pod, name) == {bed.cluster_ip("web")}


def test_curl_in_a_pod_takes_the_name(bed: Bed) -> None:
    """The way people try whether a Service works."""
    result = bed.run("client", "curl", "-sS", "--max-time", "30", "http://web/")

    assert '"pod": "web-' in result.stdout, result.stderr


def test_a_node_does_not_search_the_clusters_names(bed: Bed) -> None:
    assert looked_up(bed, "node-1", "web") == set()
    assert looked_up(bed, "node-1", "web.default.svc.cluster.local") == {bed.cluster_ip("web")}


def test_a_node_finds_another_by_its_private_name(bed: Bed) -> None:
    """ip-10-0-2-4, with the region's domain from resolv.conf."""
    address = str(bed.address("node-2"))
    name = f"ip-{address.replace('.', '-')}"

    assert looked_up(bed, "node-1", name) == {address}
    assert looked_up(bed, "web-0", f"{name}.us-west-2.compute.internal") == {address}


@pytest.mark.parametrize("place", ["web-0", "node-1", "internet"])
def test_everybody_finds_the_load_balancers_public_addresses(bed: Bed, place: str) -> None:
    """An internet-facing load balancer's name stands for public addresses inside the VPC too."""
    assert len(public_addresses(bed)) == 2, "premise: one in each zone"
    assert looked_up(bed, place, NAME) == public_addresses(bed)


def test_a_name_that_is_not_there_does_not_exist(bed: Bed) -> None:
    """NXDOMAIN; nobody outside is asked."""
    assert asked(bed, "web-0", "nobody.default.svc.cluster.local") == (NXDOMAIN, [])
    assert asked(bed, "web-0", "example.com") == (NXDOMAIN, [])
    assert asked(bed, "internet", "example.com", server="127.0.0.53") == (NXDOMAIN, [])
    assert looked_up(bed, "web-0", "nobody") == set()


def test_a_name_without_an_ipv6_address_exists_all_the_same(bed: Bed) -> None:
    """NXDOMAIN here would make the C library forget the IPv4 address."""
    name = "web.default.svc.cluster.local"

    assert asked(bed, "web-0", name, AAAA) == (NOERROR, [])
    assert asked(bed, "web-0", name) == (NOERROR, [bed.cluster_ip("web")])


def test_the_internet_knows_no_name_of_the_cluster(bed: Bed) -> None:
    assert looked_up(bed, "internet", "web.default.svc.cluster.local") == set()


def test_without_its_route_the_vpc_has_no_dns_server(bed: Bed) -> None:
    """An address of the VPC that no ENI has: silence."""
    route = bed.fact(Route, ns="vpc-main", dst=IPv4Network(f"{SERVER}/32"))

    with bed.without(route), pytest.raises(TimeoutError):
        asked(bed.briefly, "web-0", NAME)

    assert asked(bed, "web-0", NAME)[0] == NOERROR
    assert not bed.drift()


def test_kubenets_pods_ask_it_too(topologies: Path) -> None:
    """Their nodes translate them: the VPC knows no route back to a pod that it can use."""
    with bring_up(load(topologies / "kops.yaml")) as kops:
        [web, *_] = kops.allocations.services
        pods = [place.pod for place in kops.allocations.pods if not place.host_network]

        for pod in pods:
            assert looked_up(kops, pod, web.service) == {str(web.cluster_ip)}


SUBNET_OF_SERVER = Subnet("a", IPv4Network("10.0.0.0/24"), "us-west-2a")
SMALL = Lab(
    "test",
    (
        Vpc(
            "main",
            (IPv4Network("10.0.0.0/16"),),
            (SUBNET_OF_SERVER, Subnet("b", IPv4Network("10.0.1.0/24"), "us-west-2b", "detour")),
            (RouteTable("detour", (RouteEntry(SUBNET_OF_SERVER.cidr, "node-2"),)),),
        ),
    ),
    (
        EksCluster(
            "eks",
            "main",
            (
                Node("node-1", "a", "t3.small"),
                Node("node-2", "a", "t3.small", source_dest_check=False),
                Node("node-3", "b", "t3.small"),
            ),
            (Pod("web-0", node="node-1"), Pod("far", node="node-3")),
            services=(replace(WEB, type="ClusterIP"),),
        ),
    ),
)


def test_instances_of_its_subnet_take_it_for_a_neighbour(beds: Callable[[Lab], Bed]) -> None:
    """ARP is answered with the router's MAC, though no ENI has the address."""
    small = beds(SMALL)
    answer = small.fact(NftElement, ns="vpc-main", set=MACS, element=SERVER)

    assert looked_up(small, "node-1", "web.default.svc.cluster.local") == {small.cluster_ip("web")}
    assert GATEWAY_MAC in small.run("node-1", "ip", "neigh", "show", SERVER).stdout
    small.run("node-1", "ip", "neigh", "flush", "all")
    with small.without(answer), pytest.raises(OSError, match=r"timed out|No route"):
        asked(small, "node-1", "web.default.svc.cluster.local")


def test_a_route_table_cannot_keep_an_instance_from_it(beds: Callable[[Lab], Bed]) -> None:
    """A route to an appliance for the very subnet, and the DNS server is reached past it."""
    small = beds(SMALL)
    rule = small.fact(Rule, ns="vpc-main", dst=IPv4Network(f"{SERVER}/32"))

    assert [hop.ns for hop in small.path("node-3", "node-1").hops][:3] == [
        "node-3",
        "vpc-main",
        "node-2",
    ], "premise: whatever else is in that subnet is reached by the appliance"
    assert asked(small, "far", NAME.replace("a", "b", 1)) == (NXDOMAIN, [])
    assert [hop.ns for hop in small.path("node-3", SERVER).hops] == [
        "node-3",
        "vpc-main",
        "dns-main",
    ]
    with small.without(rule):
        assert "node-2" in [hop.ns for hop in small.path("node-3", SERVER).hops]
