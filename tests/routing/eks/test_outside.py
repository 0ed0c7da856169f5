"""Out of the VPC: who is seen as the client, and what is needed for the way there and back."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from testbed.bed import Bed
from testbed.eks.environment import CniSettings
from testbed.eks.model import EksCluster
from testbed.lab import Lab
from testbed.net.facts import Chain, NftElement, Route, Rule
from testbed.vpc.fabric.routing import LIFTED

pytestmark = pytest.mark.kernel

HOST = "203.0.113.10"
OTHER_HOST = "198.51.100.10"


def nat_address(bed: Bed, gateway: str) -> IPv4Address:
    """The public address of a NAT gateway."""
    [eni] = [eni for eni in bed.allocations.enis if eni.instance == gateway]
    assert eni.public_ip is not None
    return eni.public_ip


@pytest.mark.parametrize("pod", ["web-0", "web-4"])
def test_the_internet_sees_the_nat_gateways_address(bed: Bed, pod: str) -> None:
    """SNAT to the node's eth0, then to the NAT gateway's, then to its Elastic IP."""
    for host in (HOST, OTHER_HOST):
        seen = bed.http(pod, host).answer
        assert seen is not None
        assert seen["client"].rsplit(":", 1)[0] == str(nat_address(bed, "nat-a"))
        assert seen["local"] == f"{host}:80"


def test_each_zone_leaves_by_its_own_nat_gateway(bed: Bed) -> None:
    """The route table of the node's subnet decides."""
    seen = bed.http("client", HOST).answer

    assert seen is not None
    assert seen["client"].startswith(f"{nat_address(bed, 'nat-b')}:")


def test_traffic_to_the_outside_leaves_by_eth0_whatever_the_pods_eni(bed: Bed) -> None:
    """Marked 0x80 in nat PREROUTING: rule 1024 comes before rule 1536."""
    path = bed.path("web-4", HOST)

    node = path.hops[1]
    assert (node.ns, node.dev, node.mark, node.rule[:5]) == ("node-1", "eth0", "0x80", "1024:")
    assert [hop.ns for hop in path.hops] == [
        "web-4",
        "node-1",
        "vpc-main",
        "nat-a",
        "vpc-main",
        "igw-main",
        "internet",
    ]
    assert path.delivered


def test_without_rule_1024_translated_packets_leave_by_the_wrong_eni(bed: Bed) -> None:
    """eth1 sends the source address of eth0: the source check drops it."""
    rule = bed.fact(Rule, ns="node-1", priority=1024)

    with bed.without(rule):
        assert not bed.briefly.tcp("web-4", HOST, 80).delivered
        assert bed.tcp("web-0", HOST, 80).delivered, "control: pods of eth0 need no mark"

    assert bed.tcp("web-4", HOST, 80).delivered
    assert not bed.drift()


def test_without_the_snat_chain_the_nat_gateway_still_translates(bed: Bed) -> None:
    """In a private subnet external SNAT works: a pod's address is an address of the VPC."""
    chain = bed.fact(Chain, ns="node-1", table="nat", name="AWS-SNAT-CHAIN-0")
    empty = bed.state - {chain} | {replace(chain, rules=())}

    bed.change(empty)
    try:
        assert bed.tcp("web-0", HOST, 80).delivered
    finally:
        bed.change(bed.state)


def test_without_the_default_route_to_the_nat_gateway_the_outside_is_silent(bed: Bed) -> None:
    """A private subnet is one whose route table leads to no internet gateway."""
    route = next(
        fact
        for fact in bed.state
        if isinstance(fact, Route) and fact.ns == "vpc-main" and "private-b: 0.0.0.0/0" in fact.why
    )

    with bed.without(route):
        assert bed.briefly.tcp("client", HOST, 80).verdict == "timeout"
        assert bed.tcp("web-0", HOST, 80).delivered, "control: the other zone's table"

    assert not bed.drift()


def test_an_untranslated_source_dies_at_the_internet_gateway(bed: Bed) -> None:
    """No public address is paired with it: IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS."""
    [nat] = [eni for eni in bed.allocations.enis if eni.instance == "nat-a"]
    pairing = [
        bed.fact(NftElement, ns="igw-main", set=name, element=str(nat.primary))
        for name in ("egress", "paired")
    ]

    with bed.without(*pairing):
        assert bed.briefly.tcp("web-0", HOST, 80).verdict == "timeout"
        assert bed.path("web-0", HOST).code == "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"
        assert bed.tcp("client", HOST, 80).delivered, "control: nat-b is paired"

    assert not bed.drift()


def test_the_outside_cannot_open_connections_through_a_nat_gateway(bed: Bed) -> None:
    """Replies only: X_NAT_UNSOLICITED."""
    address = str(nat_address(bed, "nat-a"))

    assert bed.briefly.tcp("internet", address, 80).verdict == "timeout"
    assert bed.briefly.ping("internet", address).received == 0


def test_the_ttl_stays_inside_the_vpc(bed: Bed) -> None:
    """One hop less at each node, none at the VPC: a TTL of 3 crosses two nodes."""
    address = str(bed.address("client"))

    crossing = bed.run("web-0", "ping", "-c1", "-W1", "-t3", address)
    dying = bed.run("web-0", "ping", "-c1", "-W1", "-t2", address)

    assert crossing.returncode == 0
    assert "ttl=62" in crossing.stdout, "two nodes on the way back too"
    assert "Time to live exceeded" in dying.stdout


def test_jumbo_frames_cross_the_vpc_and_the_internet_gateway_says_1500(bed: Bed) -> None:
    """9001 bytes inside; `fragmentation needed` from the subnet's router towards the internet."""
    inside = bed.run("node-1", "ping", "-c1", "-W1", "-Mdo", "-s8973", str(bed.address("node-2")))
    outside = bed.run("node-1", "ping", "-c1", "-W1", "-Mdo", "-s4000", HOST)

    assert inside.returncode == 0
    assert "mtu = 1500" in outside.stdout + outside.stderr or "mtu=1500" in (
        outside.stdout + outside.stderr
    )


def test_same_subnet_traffic_meets_no_route_table(bed: Bed) -> None:
    """node-1 and node-3 share a subnet: ARP gives the ENI's own MAC, not the router's."""
    path = bed.path("node-1", "node-3")

    assert [hop.ns for hop in path.hops] == ["node-1", "vpc-main", "node-3"]
    assert path.hops[1].mark == f"{LIFTED:#x}"
    assert bed.ping("node-1", "node-3").received == 1
    neighbours = bed.run("node-1", "ip", "neigh", "show", str(bed.address("node-3"))).stdout
    [eni] = [e for e in bed.allocations.enis if (e.instance, e.device_index) == ("node-3", 0)]
    assert eni.mac in neighbours


def test_external_snat_shows_the_gateway_the_pods_own_address(
    bed: Bed, beds: Callable[[Lab], Bed]
) -> None:
    """AWS_VPC_K8S_CNI_EXTERNALSNAT=true: no marks, no SNAT, rule 1536 even to the outside."""
    [cluster] = bed.lab.clusters
    assert isinstance(cluster, EksCluster)
    settings = CniSettings(external_snat=True)
    external = beds(replace(bed.lab, clusters=(replace(cluster, env=settings),)))

    path = external.path("web-4", HOST)

    assert (path.hops[1].dev, path.hops[2].source) == ("eth1", str(external.pod("web-4").ip))
    seen = external.http("web-4", HOST).answer
    assert seen is not None
    assert seen["client"].startswith(f"{nat_address(external, 'nat-a')}:")


@pytest.mark.parametrize(
    ("source", "destination", "code"),
    [
        ("internet", "nat-a", "NO_ROUTE_TO_DESTINATION"),
        ("web-0", "nat-a", "X_NAT_UNSOLICITED"),
        ("web-0", "10.0.1.1", "X_ROUTER_SILENT"),
        ("node-1", "192.168.7.7", "IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS"),
        ("web-0", "224.0.0.1", "X_UNKNOWN"),
    ],
)
def test_path_knows_what_gateways_refuse(
    bed: Bed, source: str, destination: str, code: str
) -> None:
    """And the real probe agrees."""
    path = bed.path(source, destination)

    assert (path.delivered, path.code) == (False, code)
    assert not bed.briefly.tcp(source, destination, 80).delivered


def test_a_public_node_without_snat_reaches_nobody(bed: Bed, beds: Callable[[Lab], Bed]) -> None:
    """The classic: external SNAT in a public subnet, and the pod's address has no public one."""
    [cluster], [vpc] = bed.lab.clusters, bed.lab.vpcs
    assert isinstance(cluster, EksCluster)
    subnets = tuple(
        replace(subnet, route_table="public", map_public_ip_on_launch=True)
        for subnet in vpc.subnets
    )
    settings = CniSettings(external_snat=True)
    lab = replace(
        bed.lab,
        vpcs=(replace(vpc, subnets=subnets),),
        clusters=(replace(cluster, env=settings),),
    )
    public = beds(lab)

    assert public.path("web-0", HOST).code == "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"
    assert public.briefly.tcp("web-0", HOST, 80).verdict == "timeout"
    assert public.tcp("node-1", HOST, 80).delivered, "control: the node has a public address"


def test_a_private_node_pulls_images_from_ecr_through_its_nat_gateway(bed: Bed) -> None:
    """The registry is outside the VPC: without the way there no image comes."""
    registry = "http://123456789012.dkr.ecr.us-west-2.amazonaws.com/v2/"
    pull = ("curl", "-s", registry)

    pulled = bed.run("node-1", *pull)
    assert f'"client": "{nat_address(bed, "nat-a")}:' in pulled.stdout

    way = bed.fact(Route, ns="vpc-main", table=2, dst=IPv4Network("0.0.0.0/0"))
    with bed.without(way):
        assert bed.run("node-1", *pull, "-m", "1").returncode == 28, "curl: the time is over"
        assert bed.run("node-2", *pull).returncode == 0, "control: the other zone's table"
