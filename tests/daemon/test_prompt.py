"""The lab as Mininet is shown it, out of the facts of the plan."""

import json
from ipaddress import IPv4Address, IPv4Interface

from testbed.daemon.shown.prompt import Interface, Place, from_json, to_json, view
from testbed.kubernetes.placement import PodAddress
from testbed.net.facts import Address, Fact, Netns, Veth


def veth(ns: str, name: str, peer_ns: str, peer: str) -> Veth:
    return Veth(ns=ns, name=name, peer_ns=peer_ns, peer=peer, mac="02:00:00:00:00:01", mtu=9001)


def address(ns: str, dev: str, ip: str) -> Address:
    return Address(ns=ns, dev=dev, ip=IPv4Interface(ip))


FACTS: frozenset[Fact] = frozenset(
    [
        *(Netns(ns=ns) for ns in ("web-0", "node-1", "vpc-main", "internet")),
        veth("web-0", "eth0", "node-1", "eni1"),
        veth("node-1", "eni1", "web-0", "eth0"),
        veth("node-1", "eth1", "vpc-main", "node-1-e1"),
        veth("vpc-main", "node-1-e1", "node-1", "eth1"),
        veth("node-1", "eth0", "vpc-main", "node-1-e0"),
        veth("vpc-main", "node-1-e0", "node-1", "eth0"),
        address("web-0", "eth0", "10.0.1.20/32"),
        address("node-1", "eth0", "10.0.1.10/24"),
        address("node-1", "eth1", "10.0.1.9/24"),
        address("node-1", "cbr0", "10.0.1.1/24"),
        address("internet", "lo", "203.0.113.10/32"),
        address("internet", "lo", "198.51.100.10/32"),
    ]
)
PODS = (
    PodAddress("web-0", "demo", "node-1", 0, IPv4Address("10.0.1.20")),
    PodAddress("kube-proxy", "demo", "node-1", 0, IPv4Address("10.0.1.10"), host_network=True),
)


def places() -> dict[str, Place]:
    return {place.name: place for place in view(FACTS, PODS, ("node-1",)).places}


def test_pods_come_first_then_nodes_then_whatever_else_there_is():
    kinds = [(place.name, place.kind) for place in view(FACTS, PODS, ("node-1",)).places]

    assert kinds == [
        ("web-0", "pod"),
        ("kube-proxy", "pod"),
        ("node-1", "node"),
        ("internet", "router"),
        ("vpc-main", "router"),
    ]


def test_a_name_stands_for_the_address_of_its_first_interface():
    """A node is its eth0, whatever sorts before it; a device without an address comes last."""
    names = [interface.name for interface in places()["node-1"].interfaces]

    assert names == ["eth0", "eth1", "cbr0", "eni1"]
    assert places()["node-1"].interfaces[0].ip == IPv4Address("10.0.1.10")


def test_a_pod_of_the_host_network_is_in_its_nodes_namespace_with_its_nodes_address():
    pod = places()["kube-proxy"]

    assert pod.netns == "node-1"
    eth0 = Interface("eth0", IPv4Address("10.0.1.10"), "02:00:00:00:00:01")
    assert pod.interfaces == (eth0,)


def test_the_hosts_of_the_internet_are_reached_by_its_name():
    assert places()["internet"].interfaces == (Interface("lo", IPv4Address("198.51.100.10")),)


def test_a_link_is_there_once_with_the_pod_on_the_left():
    assert view(FACTS, PODS, ("node-1",)).links == (
        (("web-0", "eth0"), ("node-1", "eni1")),
        (("node-1", "eth0"), ("vpc-main", "node-1-e0")),
        (("node-1", "eth1"), ("vpc-main", "node-1-e1")),
    )


def test_a_view_survives_the_way_through_json():
    """The daemon has the facts, the prompt is another process."""
    shown = view(FACTS, PODS, ("node-1",))

    assert from_json(json.loads(json.dumps(to_json(shown)))) == shown
