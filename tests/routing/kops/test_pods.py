"""kops with kubenet: pods of one node meet on cbr0, pods of several by routes in the VPC."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.kops.model import KopsCluster
from testbed.kops.wiring.node import BRIDGE_NETFILTER
from testbed.kubernetes.model import Service, ServicePort
from testbed.lab import Lab
from testbed.load import load
from testbed.net.facts import Address, BridgePort, Chain, Fact, NftElement, Route, Sysctl, Veth

pytestmark = pytest.mark.kernel

HOST = "203.0.113.10"


@pytest.fixture(scope="module")
def bed(topologies: Path) -> Iterator[Bed]:
    """The lab of `topologies/kops.yaml`, up."""
    with bring_up(load(topologies / "kops.yaml")) as lab:
        yield lab


def port(bed: Bed, pod: str) -> BridgePort:
    """A pod's port of its node's bridge."""
    veth = bed.fact(Veth, ns=bed.pod(pod).node, peer_ns=pod)
    return bed.fact(BridgePort, ns=veth.ns, dev=veth.name)


def seen(bed: Bed, source: str, destination: str, number: int = 80) -> str:
    """The address that a server saw as its client's."""
    answer = bed.http(source, destination, number).answer
    assert answer is not None
    return str(answer["client"]).rsplit(":", 1)[0]


def instead(bed: Bed, wanted: Fact) -> frozenset[Fact]:
    """The lab's facts with this one in the place of the one it is a change of."""
    return frozenset(wanted if fact.key == wanted.key else fact for fact in bed.state)


def without_kubenets_rule(bed: Bed, node: str) -> frozenset[Fact]:
    chain = bed.fact(Chain, ns=node, table="nat", name="POSTROUTING")
    return instead(
        bed, replace(chain, rules=tuple(r for r in chain.rules if "kubenet" not in r.text))
    )


def test_pods_on_one_node_meet_on_the_bridge(bed: Bed) -> None:
    """Nothing is routed: the other pod is in the same /24, so ARP finds it."""
    assert bed.pod("client").node == bed.pod("web-0").node == "node-1", "premise: one node"

    path = bed.path("client", "web-0")
    answer = bed.run("client", "ping", "-c1", "-W1", str(bed.address("web-0")))

    assert [(hop.ns, hop.dev) for hop in path.hops] == [
        ("client", "eth0"),
        ("node-1", port(bed, "web-0").dev),
        ("web-0", "eth0"),
    ]
    assert path.hops[1].route == "bridge"
    assert "ttl=64" in answer.stdout, "no kernel on the way routed it"


def test_a_pod_that_is_no_port_of_the_bridge_is_alone(bed: Bed) -> None:
    with bed.without(port(bed, "web-0")):
        assert bed.briefly.ping("client", "web-0").received == 0
        assert bed.briefly.ping("node-1", "web-0").received == 0
        assert bed.ping("client", "web-1").received == 1, "control: the other ports work"

    assert bed.ping("client", "web-0").received == 1
    assert not bed.drift()


def test_pods_on_different_nodes_meet_by_a_route_of_the_vpc(bed: Bed) -> None:
    """The node knows no other node's range: it sends everything to the VPC's router."""
    assert bed.pod("web-1").node == "node-2", "premise: another node"

    path = bed.path("client", "web-1")
    answer = bed.run("client", "ping", "-c1", "-W1", str(bed.address("web-1")))

    assert [(hop.ns, hop.dev) for hop in path.hops[:4]] == [
        ("client", "eth0"),
        ("node-1", "eth0"),
        ("vpc-main", "public-b"),
        ("node-2", "cbr0"),
    ]
    assert path.hops[2].route.startswith("100.96.1.0/24 via 172.20.64.4")
    assert path.delivered
    assert "ttl=62" in answer.stdout, "two nodes routed it, the VPC does not count"


def test_nodes_of_one_subnet_need_the_route_as_well(bed: Bed) -> None:
    """The node asks its gateway, which sends the packet back into the subnet."""
    assert bed.pod("web-2").node == "node-3", "premise: in public-a, as node-1"

    path = bed.path("client", "web-2")

    assert [(hop.ns, hop.dev) for hop in path.hops[:4]] == [
        ("client", "eth0"),
        ("node-1", "eth0"),
        ("vpc-main", "public-a"),
        ("node-3", "cbr0"),
    ]
    assert bed.ping("client", "web-2").received == 1


def test_without_the_route_the_packet_leaves_for_the_internet(bed: Bed) -> None:
    """The default route takes it to the internet gateway, which knows no pod."""
    route = bed.fact(Route, ns="vpc-main", dst=IPv4Network("100.96.1.0/24"))

    with bed.without(route):
        path = bed.path("client", "web-1")
        assert (path.hops[2].ns, path.hops[2].dev) == ("vpc-main", "igw")
        assert bed.briefly.ping("client", "web-1").received == 0
        assert bed.briefly.ping("web-1", "client").received == 0, "the answer takes the same way"
        assert bed.ping("client", "web-2").received == 1, "control: another node's route"
        assert bed.ping("client", "node-2").received == 1, "control: the node itself"

    assert bed.ping("client", "web-1").received == 1
    assert not bed.drift()


@pytest.mark.parametrize(("node", "check"), [("node-1", "source"), ("node-2", "destination")])
def test_with_its_check_on_an_eni_carries_no_pods_packets(bed: Bed, node: str, check: str) -> None:
    """The route controller switches it off: a pod's address is none of the ENI's."""
    [eni] = [eni for eni in bed.allocations.enis if eni.instance == node]
    unchecked = bed.fact(NftElement, set="unchecked", element=eni.mac)

    with bed.without(unchecked):
        path = bed.path("client", "web-1")
        assert path.code == "ENI_SOURCE_DEST_CHECK_RESTRICTION"
        assert f"{check} check" in path.verdict
        assert bed.briefly.ping("client", "web-1").received == 0
        assert bed.ping("client", "web-0").received == 1, "control: nothing leaves the node"
        assert bed.ping("node-1", "node-2").received == 1, "control: the ENIs' own addresses"

    assert bed.ping("client", "web-1").received == 1
    assert not bed.drift()


def test_without_cbr0s_address_pods_reach_their_neighbours_only(bed: Bed) -> None:
    """It is their gateway; among themselves they need none."""
    address = bed.fact(Address, ns="node-1", dev="cbr0")

    with bed.without(address):
        assert bed.ping("client", "web-0").received == 1
        assert bed.briefly.ping("client", "web-1").received == 0
        assert bed.ping("api", "web-2").received == 1, "control: other nodes"

    assert bed.ping("client", "web-1").received == 1
    assert not bed.drift()


@pytest.mark.parametrize("destination", ["web-0", "web-1", "web-2"])
def test_pods_see_each_others_own_addresses(bed: Bed, destination: str) -> None:
    """Problem 2 of Kubernetes' networking: pods talk without NAT."""
    assert seen(bed, "client", destination) == str(bed.pod("client").ip)


def test_a_node_has_the_address_of_the_link_towards_the_pod(bed: Bed) -> None:
    """cbr0's to its own pods, eth0's to others."""
    assert seen(bed, "node-1", "web-0") == "100.96.0.1"
    assert seen(bed, "node-1", "web-1") == str(bed.address("node-1"))


def test_another_node_sees_the_pods_node(bed: Bed) -> None:
    """The VPC's addresses are outside nonMasqueradeCidr: kubenet translates."""
    assert seen(bed, "client", "node-2", 9100) == str(bed.address("node-1"))
    assert seen(bed, "api", "node-2", 9100) == str(bed.pod("api").ip), "its own node sees the pod"

    bed.change(without_kubenets_rule(bed, "node-1"))
    try:
        assert seen(bed, "client", "node-2", 9100) == str(bed.pod("client").ip)
    finally:
        bed.change(bed.state)

    assert not bed.drift()


def test_the_internet_sees_the_nodes_public_address(bed: Bed) -> None:
    """First to the node's, by kubenet's rule; then, at the internet gateway, to its public one."""
    public = {eni.instance: str(eni.public_ip) for eni in bed.allocations.enis}

    path = bed.path("client", HOST)

    assert seen(bed, "client", HOST) == public["node-1"]
    assert seen(bed, "api", HOST) == public["node-2"]
    assert [(hop.ns, hop.source) for hop in path.hops[1:]] == [
        ("node-1", str(bed.pod("client").ip)),
        ("vpc-main", str(bed.address("node-1"))),
        ("igw-main", str(bed.address("node-1"))),
        ("internet", public["node-1"]),
    ]
    assert path.delivered


def test_without_kubenets_rule_the_internet_gateway_drops_pods_packets(bed: Bed) -> None:
    """No public address is paired with a pod's."""
    bed.change(without_kubenets_rule(bed, "node-1"))
    try:
        assert bed.briefly.tcp("client", HOST, 80).verdict == "timeout"
        assert bed.tcp("node-1", HOST, 80).delivered, "control: the node's own address is paired"
        assert bed.tcp("api", HOST, 80).delivered, "control: the other node's rule is there"
    finally:
        bed.change(bed.state)

    assert bed.tcp("client", HOST, 80).delivered
    assert not bed.drift()


def test_jumbo_frames_pass_between_pods(bed: Bed) -> None:
    """9001 bytes on cbr0 and in the VPC."""
    for pod in ("web-0", "web-1"):
        address = str(bed.address(pod))
        assert bed.run("client", "ping", "-c1", "-W1", "-Mdo", "-s8973", address).returncode == 0


def test_every_pair_of_pods_speaks_every_protocol(bed: Bed) -> None:
    """The whole matrix, and no drift after it."""
    for protocol in ("icmp", "tcp", "http"):
        result = bed.matrix(protocol)
        assert (result.failed, result.inconclusive) == ((), ())
        assert result.ok == result.pairs > 0
    assert not bed.drift()


# cbr0 and Services

OWN = "100.64.7.7"


@pytest.fixture
def with_service(bed: Bed, beds: Callable[[Lab], Bed]) -> Callable[[str], Bed]:
    """The same lab with one Service, at 100.64.7.7:80, whose only endpoint is that pod."""

    def brought(pod: str) -> Bed:
        [cluster] = bed.lab.clusters
        assert isinstance(cluster, KopsCluster)
        pods = tuple(
            replace(one, labels={"only": "this"}) if one.name == pod else one
            for one in cluster.pods
        )
        service = Service("own", {"only": "this"}, (ServicePort(80),), cluster_ip=IPv4Address(OWN))
        changed = replace(cluster, pods=pods, services=(service,))
        return beds(replace(bed.lab, clusters=(changed,)))

    return brought


def test_a_pod_reaches_itself_through_a_service_by_its_ports_hairpin(
    with_service: Callable[[str], Bed],
) -> None:
    """The frame goes out of the port it came in by; the pod sees cbr0 as the client."""
    lab = with_service("client")
    hairpin = port(lab, "client")

    assert seen(lab, "client", OWN) == "100.96.0.1"

    lab.change(instead(lab, replace(hairpin, hairpin=False)))
    assert lab.briefly.tcp("client", OWN, 80).verdict == "timeout"
    assert lab.tcp("web-1", OWN, 80).delivered, "control: the Service itself works"
    lab.change(lab.state)
    assert lab.tcp("client", OWN, 80).delivered
    assert not lab.drift()


def test_a_service_of_a_neighbour_needs_iptables_to_see_bridged_replies(
    with_service: Callable[[str], Bed],
) -> None:
    """The reply stays on cbr0: without br_netfilter nobody gives it the Service's address."""
    lab = with_service("web-0")
    bridged = lab.fact(Sysctl, ns="node-1", name=BRIDGE_NETFILTER)

    assert seen(lab, "client", OWN) == str(lab.pod("client").ip)

    lab.change(instead(lab, replace(bridged, value="0")))
    assert lab.briefly.tcp("client", OWN, 80).verdict == "timeout"
    assert lab.tcp("web-1", OWN, 80).delivered, "control: from another node it is routed"
    lab.change(lab.state)
    assert lab.tcp("client", OWN, 80).delivered
    assert not lab.drift()
