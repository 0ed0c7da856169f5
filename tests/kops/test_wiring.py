"""What kubenet and the route controller make of nodes, pods and the VPC."""

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from testbed.allocations import allocate
from testbed.kops.routes import with_pod_routes
from testbed.kops.wiring.names import veth_name
from testbed.kops.wiring.node import BRIDGE_NETFILTER
from testbed.kubernetes.model import Pod
from testbed.kubernetes.placement import NodeRange
from testbed.net.facts import (
    Address,
    Bridge,
    BridgePort,
    Chain,
    Fact,
    NftElement,
    Route,
    State,
    Sysctl,
    Veth,
)
from testbed.net.show import show
from testbed.plan import plan, vpcs
from testbed.vpc.model import BLACKHOLE, RouteEntry

WEB = Pod("web")
VETH = veth_name(WEB)


@pytest.fixture
def state(lab, node) -> State:
    """Two nodes; pods web and client on the first."""
    wanted = lab((node("n1"), node("n2")), (WEB, Pod("client", node="n1")))
    return plan(wanted, allocate(wanted))


def shown(state: Iterable[Fact], ns: str, kind: type[Fact]) -> list[str]:
    """As the tools print the facts of a kind."""
    return sorted(show(fact) for fact in state if fact.ns == ns and isinstance(fact, kind))


def sysctls(state: State, ns: str) -> dict[str, str]:
    return {f.name: f.value for f in state if isinstance(f, Sysctl) and f.ns == ns}


def test_a_node_routes_its_own_pods_and_leaves_the_others_to_the_vpc(state):
    assert shown(state, "n1", Address) == [
        "inet 100.96.0.1/24 dev cbr0",
        "inet 172.20.32.4/19 dev eth0",
    ]
    assert shown(state, "n1", Route) == ["default via 172.20.32.1 dev eth0"]


def test_the_bridge_comes_with_the_first_pod(state):
    """kubenet makes it when the plugin is first called: n2 has none yet."""
    assert [f.ns for f in state if isinstance(f, Bridge) and f.name == "cbr0"] == ["n1"]


def test_a_pod_is_a_port_of_the_bridge(state):
    port = next(f for f in state if isinstance(f, BridgePort) and f.dev == VETH)

    assert (port.ns, port.bridge) == ("n1", "cbr0")
    assert (port.learning, port.flood, port.proxy_arp, port.hairpin) == (True, True, False, True)


def test_a_veths_name_is_veth_and_eight_digits():
    assert VETH.startswith("veth")
    assert len(VETH) == 12
    int(VETH.removeprefix("veth"), 16)
    assert veth_name(Pod("web", namespace="other")) != VETH


def test_a_pod_has_its_range_on_the_link_and_the_bridge_as_gateway(state):
    assert shown(state, "web", Address) == ["inet 100.96.0.2/24 dev eth0"]
    assert shown(state, "web", Route) == ["default via 100.96.0.1 dev eth0"]


def test_every_link_of_a_node_takes_jumbo_frames(state):
    links = [f for f in state if isinstance(f, Veth | Bridge) and f.ns in ("n1", "web")]

    assert {link.mtu for link in links} == {9001}


def test_no_two_links_of_a_bridge_have_one_mac(state):
    macs = [
        f.mac for f in state if isinstance(f, Veth | Bridge) and f.ns in ("n1", "web", "client")
    ]

    assert len(set(macs)) == len(macs)


def test_kubenets_rule_stands_behind_kubelets(state):
    rule = next(
        f for f in state if isinstance(f, Chain) and (f.ns, f.name) == ("n1", "POSTROUTING")
    )

    assert [one.text for one in rule.rules] == [
        '-m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
        '! -d 100.64.0.0/10 -m comment --comment "kubenet: SNAT for outbound traffic from cluster"'
        " -m addrtype ! --dst-type LOCAL -j MASQUERADE",
    ]


def test_without_a_world_outside_kubenet_translates_nothing(lab, node):
    everything = lab((node("n1"),), non_masquerade_cidr="0.0.0.0/0")

    chains = [f for f in plan(everything, allocate(everything)) if isinstance(f, Chain)]

    assert not any("kubenet" in rule.text for chain in chains for rule in chain.rules)


def test_a_node_has_the_sysctls_of_kubenet_and_kops(state):
    found = sysctls(state, "n1")

    assert found[BRIDGE_NETFILTER] == "1"
    assert found["net.ipv4.ip_forward"] == "1"
    assert found["net.ipv4.ip_local_reserved_ports"] == "30000-32767"
    assert sysctls(state, "vpc-main")[BRIDGE_NETFILTER] == "0", "the VPC's bridges are no cbr0"
    assert sysctls(state, "web") == {}, "a namespace touched in /proc/sys/net is a slow one"


def test_the_vpc_has_a_route_to_each_nodes_pods(state):
    own = [line for line in shown(state, "vpc-main", Route) if line.startswith("100.96.")]

    assert own == [
        "100.96.0.0/24 via 172.20.32.4 dev a table 1 onlink",
        "100.96.1.0/24 via 172.20.32.5 dev a table 1 onlink",
    ]


def test_the_routes_tell_who_made_them(state):
    [why] = {f.why for f in state if isinstance(f, Route) and str(f.dst) == "100.96.0.0/24"}

    assert why == "route table main: 100.96.0.0/24 to n1 (kops' route controller)"


def test_the_nodes_enis_carry_other_addresses(state):
    elements = [f for f in state if isinstance(f, NftElement)]
    unchecked = {f.element for f in elements if f.set == "unchecked"}
    ports = [f.element.split(" . ") for f in elements if f.set == "ports"]

    assert {port for port, mac in ports if mac in unchecked} == {'"n1-e0"', '"n2-e0"'}


def test_a_pod_on_its_nodes_network_has_no_link(lab, node):
    wanted = lab((node("n1"),), (Pod("host", host_network=True),))

    state = plan(wanted, allocate(wanted))

    assert not any(f.ns == "host" or (isinstance(f, BridgePort) and f.ns == "n1") for f in state)


def entry(destination: str, target: str) -> RouteEntry:
    return RouteEntry(IPv4Network(destination), target)


def test_the_route_controller_deletes_what_is_in_its_range_and_nobodys(cluster, node, vpc):
    """And touches nothing outside of it, be it a blackhole."""
    stale, foreign = entry("100.96.9.0/24", BLACKHOLE), entry("100.65.0.0/16", BLACKHOLE)
    [main] = vpc.route_tables
    before = replace(vpc, route_tables=(replace(main, routes=(*main.routes, stale, foreign)),))
    ranges = [NodeRange("n1", "kops", IPv4Network("100.96.0.0/24"))]

    [after] = with_pod_routes(cluster((node("n1"),)), before, ranges).route_tables

    assert [(str(one.destination), one.target) for one in after.routes] == [
        ("0.0.0.0/0", "internet-gateway"),
        ("100.65.0.0/16", "blackhole"),
        ("100.96.0.0/24", "n1"),
    ]


def test_routes_of_other_clusters_and_tables_are_left_alone(cluster, node, vpc):
    other = replace(vpc.route_tables[0], name="other")
    both = replace(vpc, route_tables=(*vpc.route_tables, other))
    elsewhere = [NodeRange("n1", "other", IPv4Network("100.96.0.0/24"))]

    assert with_pod_routes(cluster((node("n1"),)), both, elsewhere) == both


def test_a_vpc_without_described_tables_gets_the_routes_in_its_main_one(lab, node):
    wanted = lab((node("n1"),))
    bare = replace(wanted, vpcs=(replace(wanted.vpcs[0], route_tables=()),))

    [table] = vpcs(bare, allocate(bare))["main"].route_tables

    assert (table.name, [one.target for one in table.routes]) == ("main", ["n1"])
