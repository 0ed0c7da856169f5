"""What amazon-vpc-cni-k8s makes of a node and its pods, for both eras and every SNAT setting.

The workshop's node: eth0 10.10.0.10 with Pod1 10.10.0.101, eth1 10.10.0.20 with Pod2
10.10.0.102, in 10.10.0.0/19 of the VPC 10.10.0.0/16.
"""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest
from pydantic import TypeAdapter

from testbed.eks.environment import CniSettings
from testbed.eks.model import EksCluster, Profile
from testbed.eks.wiring.pod import pod_facts, veth_name
from testbed.kubernetes.model import Pod
from testbed.kubernetes.placement import PodAddress
from testbed.net.facts import MAIN, Address, Fact, Neighbour, Netns, Route, Sysctl, Veth
from testbed.net.show import show
from testbed.vpc.model import Vpc
from tests.eks.wiring.wired import rules, sysctls

BOTH = pytest.mark.parametrize("profile", ["slides", "current"])
VETH_1, VETH_2 = "eni83dbd022cd5", "enifbd243bfedd"


def cluster(profile: Profile, **env: object) -> EksCluster:
    settings = TypeAdapter(CniSettings).validate_python(env)
    return EksCluster("eks", "main", (), profile=profile, env=settings)


def routes(found: frozenset[Fact], ns: str, table: int = MAIN) -> list[str]:
    """As `ip route show table TABLE` prints them, without connected routes."""
    own = [fact for fact in found if isinstance(fact, Route)]
    in_order = sorted((fact for fact in own if fact.ns == ns), key=lambda route: route.dst)
    shown = [show(route) for route in in_order if route.table == table]
    return [line.replace(f" table {table}", "") for line in shown]


# names


def test_a_veth_s_name_is_prefix_and_hash_of_namespace_and_name():
    assert veth_name(cluster("current"), Pod("pod-1")) == VETH_1
    assert veth_name(cluster("current"), Pod("pod-2")) == VETH_2


def test_the_veth_prefix_is_a_setting():
    of = cluster("current", AWS_VPC_K8S_CNI_VETHPREFIX="pod")

    assert veth_name(of, Pod("pod-1")) == "pod83dbd022cd5"


# ip rule and ip route


def test_rules_of_the_slides_node(facts):
    assert rules(facts("slides")) == [
        "512: from all to 10.10.0.101 lookup main",
        "512: from all to 10.10.0.102 lookup main",
        "1024: from all fwmark 0x80/0x80 lookup main",
        "1536: from 10.10.0.102 to 10.10.0.0/16 lookup 2",
    ]


def test_rules_of_a_node_of_today(facts):
    assert rules(facts("current")) == [
        "512: from all to 10.10.0.101 lookup main",
        "512: from all to 10.10.0.102 lookup main",
        "1024: from all fwmark 0x80/0x80 lookup main",
        "1536: from 10.10.0.102 lookup 2",
        "32765: from 10.10.0.20 lookup 2",
    ]


@BOTH
def test_main_is_eth0_s_and_the_pods_table(facts, profile):
    """The connected route of eth0 comes with its address; eth1's was deleted."""
    assert routes(facts(profile), "node-1") == [
        "default via 10.10.0.1 dev eth0",
        "10.10.0.101 dev eni83dbd022cd5 scope link",
        "10.10.0.102 dev enifbd243bfedd scope link",
        "169.254.169.254 dev eth0",
    ]
    assert {
        (fact.dev, fact.ip, fact.connected)
        for fact in facts(profile)
        if isinstance(fact, Address) and fact.ns == "node-1"
    } == {
        ("eth0", IPv4Interface("10.10.0.10/19"), True),
        ("eth1", IPv4Interface("10.10.0.20/19"), False),
    }


@BOTH
def test_table_2_knows_the_router_by_eth1_and_nothing_else(facts, profile):
    assert routes(facts(profile), "node-1", table=2) == [
        "default via 10.10.0.1 dev eth1",
        "10.10.0.1 dev eth1 scope link",
    ]


# the pod


@BOTH
def test_a_pod_has_one_address_two_routes_and_a_neighbour_that_is_the_veth(facts, profile):
    """The host's end has no address, so 169.254.1.1 exists nowhere."""
    found = facts(profile)
    [outer] = [fact for fact in found if isinstance(fact, Veth) and fact.name == VETH_2]

    assert routes(found, "pod-2") == [
        "default via 169.254.1.1 dev eth0",
        "169.254.1.1 dev eth0 scope link",
    ]
    assert {
        fact for fact in found if fact.ns == "pod-2" and not isinstance(fact, Veth | Route)
    } == {
        Netns(ns="pod-2"),
        Address(ns="pod-2", dev="eth0", ip=IPv4Interface("10.10.0.102/32")),
        Neighbour(ns="pod-2", dev="eth0", ip=IPv4Address("169.254.1.1"), mac=outer.mac),
    }
    assert not [fact for fact in found if isinstance(fact, Address) and fact.dev == VETH_2]


@BOTH
def test_both_ends_of_a_pod_s_link_name_each_other(facts, profile):
    veths = {(fact.ns, fact.name): fact for fact in facts(profile) if isinstance(fact, Veth)}

    inner, outer = veths["pod-1", "eth0"], veths["node-1", VETH_1]

    assert (inner.peer_ns, inner.peer) == ("node-1", VETH_1)
    assert (outer.peer_ns, outer.peer) == ("pod-1", "eth0")
    assert inner.mac != outer.mac


@BOTH
def test_a_pod_on_its_node_s_network_has_no_wiring(profile):
    vpc = Vpc("main", (IPv4Network("10.10.0.0/16"),))
    address = IPv4Address("10.10.0.10")
    placed = PodAddress("pod-1", "eks", "node-1", 0, address, host_network=True)

    assert list(pod_facts(cluster(profile), vpc, Pod("pod-1"), placed)) == []


@pytest.mark.parametrize(
    ("profile", "env", "eth1_mtu", "pod_mtu"),
    [
        ("slides", {}, 9001, 9001),
        ("slides", {"AWS_VPC_ENI_MTU": 1500, "POD_MTU": 1400}, 9001, 9001),
        ("current", {}, 9001, 9001),
        ("current", {"AWS_VPC_ENI_MTU": 1500}, 1500, 1500),
        ("current", {"AWS_VPC_ENI_MTU": 1500, "POD_MTU": 1400}, 1500, 1400),
    ],
)
def test_mtu_is_a_setting_since_v1_6(facts, profile, env, eth1_mtu, pod_mtu):
    found = facts(profile, **env)
    mtus = {(fact.ns, fact.name): fact.mtu for fact in found if isinstance(fact, Veth)}

    assert mtus["node-1", "eth1"] == eth1_mtu
    assert mtus["pod-1", "eth0"] == mtus["node-1", VETH_1] == pod_mtu


# sysctls


@BOTH
def test_eth0_filters_loosely_and_other_enis_strictly(facts, profile):
    found = sysctls(facts(profile))

    assert found["net.ipv4.conf.all.rp_filter"] == "0"
    assert found["net.ipv4.conf.eth0.rp_filter"] == "2"
    assert found["net.ipv4.conf.eth1.rp_filter"] == "1"
    assert found["net.ipv4.ip_forward"] == "1"


def test_without_node_ports_v1_5_leaves_eth0_strict(facts):
    off = {"AWS_VPC_CNI_NODE_PORT_SUPPORT": False}

    assert sysctls(facts("slides", **off))["net.ipv4.conf.eth0.rp_filter"] == "1"
    assert sysctls(facts("current", **off))["net.ipv4.conf.eth0.rp_filter"] == "2"


@pytest.mark.parametrize(
    ("profile", "settings"),
    [
        ("slides", {"accept_ra": "0", "accept_redirects": "0"}),
        ("current", {"accept_ra": "0", "accept_redirects": "1", "forwarding": "0"}),
    ],
)
def test_only_the_host_s_end_of_a_pod_s_link_has_ipv6_settings(facts, profile, settings):
    """amazon-vpc-cni-k8s v1.5 and, since v1.16, today: before the veth is up."""
    found = {
        (fact.ns, fact.name): fact.value
        for fact in facts(profile)
        if isinstance(fact, Sysctl) and ".ipv6." in fact.name
    }

    assert found == {
        ("node-1", f"net.ipv6.conf.{veth}.{name}"): value
        for veth in (VETH_1, VETH_2)
        for name, value in settings.items()
    }


@BOTH
def test_every_fact_says_why(facts, profile):
    for fact in facts(profile):
        assert fact.why, fact
        for rule in getattr(fact, "rules", ()):
            assert rule.why, rule
