"""What is true of every pod of an EKS cluster, whatever the era: the kernel's own tools say it."""

import pytest

from testbed.bed import Bed
from testbed.eks.model import EksCluster, Profile
from testbed.eks.wiring.pod import veth_name
from tests.routing.cni.conftest import Explain, cni_lab

pytestmark = pytest.mark.kernel

PODS = ("pod-1", "pod-2")


@pytest.fixture(params=["slides", "current"], autouse=True)
def profile(request: pytest.FixtureRequest, bed: Bed) -> Profile:
    """Both eras, one after the other on one lab."""
    era: Profile = request.param
    bed.up(cni_lab(era))
    return era


def lines(bed: Bed, place: str, *argv: str) -> list[str]:
    return [" ".join(line.split()) for line in bed.run(place, *argv).stdout.splitlines()]


def veth(bed: Bed, pod: str) -> str:
    [cluster] = bed.lab.clusters
    assert isinstance(cluster, EksCluster)
    return veth_name(cluster, next(one for one in cluster.pods if one.name == pod))


def sysctl(bed: Bed, place: str, name: str) -> str:
    return bed.run(place, "sysctl", "-n", name).stdout.strip()


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_has_one_address_two_routes_and_one_permanent_neighbour(bed: Bed, pod: str) -> None:
    ip = bed.pod(pod).ip

    addresses = lines(bed, pod, "ip", "-4", "-o", "address", "show", "scope", "global")
    routes = lines(bed, pod, "ip", "route", "show", "table", "main")
    permanent = lines(bed, pod, "ip", "neigh", "show", "nud", "permanent")
    [link] = lines(bed, "node-1", "ip", "-o", "link", "show", veth(bed, pod))

    assert [line.split()[1:4] for line in addresses] == [["eth0", "inet", f"{ip}/32"]]
    assert routes == ["default via 169.254.1.1 dev eth0", "169.254.1.1 dev eth0 scope link"]
    assert len(permanent) == 1
    assert permanent[0].startswith("169.254.1.1 dev eth0 lladdr ")
    assert f"link/ether {permanent[0].split()[4]} " in link, "the node's end of its link"


def test_the_pods_gateway_is_on_no_interface(bed: Bed) -> None:
    for place in bed.store.names():
        assert "169.254.1.1" not in bed.run(place, "ip", "address").stdout, place


@pytest.mark.parametrize("pod", PODS)
def test_a_host_veth_has_no_ipv4_address_and_answers_no_arp_for_others(bed: Bed, pod: str) -> None:
    """The static neighbour makes proxy ARP unnecessary; nothing of IPv4 is set on the veth."""
    link = veth(bed, pod)

    assert lines(bed, "node-1", "ip", "-4", "-o", "address", "show", "dev", link) == []
    for name, node_wide in (("proxy_arp", "0"), ("rp_filter", "1"), ("forwarding", "1")):
        found = sysctl(bed, "node-1", f"net.ipv4.conf.{link}.{name}")
        assert found == sysctl(bed, "node-1", f"net.ipv4.conf.default.{name}") == node_wide


def test_nothing_on_a_node_is_bridged(bed: Bed) -> None:
    assert lines(bed, "node-1", "bridge", "link") == []
    assert lines(bed, "node-1", "ip", "-o", "link", "show", "type", "bridge") == []


def test_the_node_finds_a_pod_by_arp_in_the_name_of_another_address(bed: Bed) -> None:
    """The veth has none, so the request says it is from eth0's: the pod learns that one."""
    bed.run("pod-1", "ip", "neigh", "flush", "dev", "eth0", "nud", "stale")
    bed.run("node-1", "ip", "neigh", "flush", "dev", veth(bed, "pod-1"))

    assert bed.ping("pod-2", "pod-1").received == 1

    learnt = lines(bed, "pod-1", "ip", "neigh", "show", "dev", "eth0")
    assert any(line.startswith("10.10.0.10 lladdr ") for line in learnt), learnt
    asked = lines(bed, "node-1", "ip", "neigh", "show", "dev", veth(bed, "pod-1"))
    assert [line.split()[0] for line in asked] == [str(bed.pod("pod-1").ip)]


def test_pods_of_one_node_meet_by_rule_512_though_one_is_of_eth1(
    bed: Bed, explain: Explain
) -> None:
    """Host routing, in both directions, and neither leaves the node."""
    for source, destination in (("pod-1", "pod-2"), ("pod-2", "pod-1")):
        seen = explain(source, destination)

        assert seen.delivered
        assert seen.difference is None
        assert [one.ns for one in seen.observed.there.visits] == [source, "node-1", destination]
        assert seen.visit("node-1").dev_out == veth(bed, destination)


def test_each_host_veths_ipv6_settings_are_its_eras(bed: Bed, profile: Profile) -> None:
    """accept_ra=0 keeps a pod from announcing itself as the node's router."""
    wanted = {
        "slides": {"accept_ra": "0", "accept_redirects": "0"},
        "current": {"accept_ra": "0", "accept_redirects": "1", "forwarding": "0"},
    }
    for pod in PODS:
        for name, value in wanted[profile].items():
            assert sysctl(bed, "node-1", f"net.ipv6.conf.{veth(bed, pod)}.{name}") == value
