"""What is true of every pod and node of EKS, in each topology, era and setting: vpc-cni's wiring.

The kernel's own tools say the same of one lab: tests/routing/cni/test_invariants.py.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from testbed.allocations import Allocations, allocate
from testbed.eks.model import EksCluster, Profile
from testbed.eks.rollout import with_settings
from testbed.eks.wiring.pod import veth_name
from testbed.lab import Lab
from testbed.load import load
from testbed.net.facts import (
    ANYWHERE,
    MAIN,
    Address,
    Bridge,
    BridgePort,
    Fact,
    Neighbour,
    Route,
    Rule,
    State,
    Sysctl,
    Veth,
)
from testbed.plan import plan

TOPOLOGIES = sorted((Path(__file__).parents[2] / "topologies").glob("*.yaml"))
GATEWAY = IPv4Address("169.254.1.1")  # on no interface
DOCKER = "docker0"  # the only bridge a node may have, and nothing of a pod is on it

SETTINGS: dict[str, dict[str, str]] = {
    "defaults": {},
    "external SNAT": {"AWS_VPC_K8S_CNI_EXTERNALSNAT": "true"},
    "exclusions": {"AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": "192.168.0.0/16,198.51.100.0/24"},
    "external services": {"AWS_EXTERNAL_SERVICE_CIDRS": "198.51.100.0/24"},
    "no node ports": {"AWS_VPC_CNI_NODE_PORT_SUPPORT": "false"},
    "names and sizes": {"AWS_VPC_K8S_CNI_VETHPREFIX": "pod", "POD_MTU": "1400"},
    "without IPv6": {"DISABLE_POD_V6": "true"},
}


HAVE_NONE = ("kops.yaml", "kops-slides.yaml", "transit.yaml")
CASES = [
    (file.name, era, name)
    for file in TOPOLOGIES
    for era in ("slides", "current")
    for name in (SETTINGS if file.name == "eks.yaml" else ["defaults"])
    if file.name not in HAVE_NONE
]


@cache
def planned(file: str, era: Profile, name: str) -> tuple[Lab, Allocations, State]:
    """A topology with its EKS clusters in that era, with other settings beside its own."""
    lab = load(TOPOLOGIES[0].with_name(file))
    clusters = tuple(
        with_settings(one, era, SETTINGS[name], "iptables") if isinstance(one, EksCluster) else one
        for one in lab.clusters
    )
    changed = replace(lab, clusters=clusters)
    allocations = allocate(changed)
    return changed, allocations, plan(changed, allocations)


@pytest.fixture(params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest) -> tuple[Lab, Allocations, State]:
    """Each topology in both eras, and one of them with each setting."""
    return planned(*request.param)


@pytest.fixture
def lab(case: tuple[Lab, Allocations, State]) -> Lab:
    return case[0]


@pytest.fixture
def allocations(case: tuple[Lab, Allocations, State]) -> Allocations:
    return case[1]


@pytest.fixture
def state(case: tuple[Lab, Allocations, State]) -> State:
    return case[2]


def wired(lab: Lab, allocations: Allocations) -> Iterator[tuple[str, str, str, IPv4Address, int]]:
    """Pod, node, host veth, address and ENI of each pod that the CNI has wired."""
    for cluster in lab.clusters:
        if not isinstance(cluster, EksCluster):
            continue
        pods = {pod.netns: pod for pod in cluster.pods}
        for at in allocations.pods:
            if at.pod in pods and not at.host_network and not at.on_fargate:
                yield at.pod, at.node, veth_name(cluster, pods[at.pod]), at.ip, at.device_index


def by_place(state: State) -> dict[str, list[Fact]]:
    found: dict[str, list[Fact]] = {}
    for fact in state:
        found.setdefault(fact.ns, []).append(fact)
    return found


def test_a_pod_has_one_address_two_routes_and_one_neighbour(
    lab: Lab, allocations: Allocations, state: State
) -> None:
    places = by_place(state)
    pods = list(wired(lab, allocations))
    assert pods

    for pod, node, veth, ip, _ in pods:
        own = places[pod]
        [address] = [fact for fact in own if isinstance(fact, Address)]
        assert (address.dev, str(address.ip)) == ("eth0", f"{ip}/32")
        routes = {
            (fact.dst, fact.via, fact.scope, fact.table) for fact in own if isinstance(fact, Route)
        }
        assert routes == {
            (IPv4Network(GATEWAY), None, "link", MAIN),
            (ANYWHERE, GATEWAY, "global", MAIN),
        }
        [neighbour] = [fact for fact in own if isinstance(fact, Neighbour)]
        [outer] = [fact for fact in places[node] if isinstance(fact, Veth) and fact.name == veth]
        assert (neighbour.ip, neighbour.mac, neighbour.state) == (GATEWAY, outer.mac, "PERMANENT")
        [inner] = [fact for fact in own if isinstance(fact, Veth)]
        assert inner.mtu == outer.mtu
        assert not [fact for fact in own if isinstance(fact, Rule)]


def test_a_host_veth_has_no_address_and_nothing_of_ipv4_is_set_on_it(
    lab: Lab, allocations: Allocations, state: State
) -> None:
    """Neither proxy_arp nor rp_filter nor forwarding: the static neighbour makes do."""
    places = by_place(state)

    for _, node, veth, _, _ in wired(lab, allocations):
        assert not [f for f in places[node] if isinstance(f, Address) and f.dev == veth]
        ipv4 = f"net.ipv4.conf.{veth}."
        settings = [f.name for f in places[node] if isinstance(f, Sysctl) and ipv4 in f.name]
        assert settings in ([], [f"{ipv4}route_localnet"]), "the plugin portmap sets that one"


def test_the_pods_gateway_is_on_no_interface_and_nothing_is_bridged(
    lab: Lab, allocations: Allocations, state: State
) -> None:
    assert not [fact for fact in state if isinstance(fact, Address) and fact.ip.ip == GATEWAY]
    places = by_place(state)
    for node in {node for _, node, _, _, _ in wired(lab, allocations)}:
        assert {f.name for f in places[node] if isinstance(f, Bridge)} <= {DOCKER}
        assert not [fact for fact in places[node] if isinstance(fact, BridgePort)]


def test_each_pod_has_its_route_its_rule_512_and_beyond_eth0_a_rule_1536(
    lab: Lab, allocations: Allocations, state: State
) -> None:
    """A pod of eth0 never has one; a pod of eth2 leaves by table 3."""
    places = by_place(state)

    for pod, node, veth, ip, eni in wired(lab, allocations):
        own, host = places[node], IPv4Network(ip)
        routes = [fact for fact in own if isinstance(fact, Route) and fact.dst == host]
        assert [(fact.dev, fact.scope, fact.table) for fact in routes] == [(veth, "link", MAIN)]
        rules = [fact for fact in own if isinstance(fact, Rule)]
        assert [r.table for r in rules if (r.priority, r.dst) == (512, host)] == [MAIN], pod
        from_pod = [rule.table for rule in rules if (rule.priority, rule.src) == (1536, host)]
        assert set(from_pod) == ({eni + 1} if eni else set()), pod
