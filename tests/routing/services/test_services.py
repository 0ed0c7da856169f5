"""A Service's addresses lead to its pods: kube-proxy's chains, beside the CNI's, on every node."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from testbed.allocations import allocate
from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.eks.model import EksCluster
from testbed.kubernetes.model import Service, ServicePort
from testbed.load import load
from testbed.net.facts import Chain, Fact, Sysctl
from testbed.plan import plan
from testbed.probes.sockets import socket_in
from testbed.services.kube_proxy.names import endpoint_chain, service_chain
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

SERVICES = (
    Service("web", {"app": "web"}, (ServicePort(80, node_port=30080),), type="NodePort"),
    Service(
        "api",
        {"app": "api"},
        (
            ServicePort(80, target_port=8080, name="app"),
            ServicePort(9090, name="metrics"),
            ServicePort(8125, name="statsd", protocol="UDP"),
        ),
    ),
    Service("gone", {"app": "nobody"}, (ServicePort(80, node_port=30090),), type="NodePort"),
    Service("shut", {"app": "api"}, (ServicePort(80, target_port=81),)),
)
ENOUGH = 100  # tries: one of five endpoints is missed by all of them once in 10**9 times


@pytest.fixture(scope="module")
def bed(topologies: Path) -> Iterator[Bed]:
    """The EKS lab with these Services."""
    lab = load(topologies / "eks.yaml")
    [cluster] = lab.clusters
    with bring_up(replace(lab, clusters=(replace(cluster, services=SERVICES),))) as up:
        yield up


def seen(bed: Bed, source: str, address: str, port: int = 80) -> tuple[str, str]:
    """The pod that answered, and the client's address it saw."""
    outcome = bed.http(source, address, port)
    assert outcome.answer is not None, outcome
    return outcome.answer["pod"], outcome.answer["client"].rsplit(":", 1)[0]


def reached(bed: Bed, source: str, address: str, port: int = 80) -> dict[str, str]:
    """Who answered in many tries, each with the client's address it saw."""
    return dict(seen(bed, source, address, port) for _ in range(ENOUGH))


@contextmanager
def changed(bed: Bed, before: Fact, after: Fact) -> Iterator[None]:
    """The lab with another fact in place of one."""
    bed.change(bed.state - {before} | {after})
    try:
        yield
    finally:
        bed.change(bed.state)


@contextmanager
def without_rule(bed: Bed, node: str, table: str, chain: str, part: str) -> Iterator[None]:
    """The lab without the rules of a chain that hold these words."""
    fact = bed.fact(Chain, ns=node, table=table, name=chain)
    left = tuple(rule for rule in fact.rules if part not in rule.text)
    assert left != fact.rules, "premise: there is such a rule"
    with changed(bed, fact, replace(fact, rules=left)):
        yield


def test_a_pod_reaches_every_endpoint_of_a_cluster_ip_as_itself(bed: Bed) -> None:
    """Chosen at random, translated on the client's own node; the source stays the pod's."""
    found = reached(bed, "client", bed.cluster_ip("web"))

    assert set(found) == {f"web-{i}" for i in range(5)}
    assert set(found.values()) == {str(bed.pod("client").ip)}
    assert not bed.drift()


def test_a_node_reaches_a_cluster_ip_with_its_own_address(bed: Bed) -> None:
    """From the node itself: chain OUTPUT."""
    for node in ("node-1", "node-3"):
        assert seen(bed, node, bed.cluster_ip("web"))[1] == str(bed.address(node))


def test_a_pod_of_the_second_eni_reaches_a_cluster_ip_as_itself(bed: Bed) -> None:
    """The rule 1536 looks at its source only, so what was translated leaves by eth1 too."""
    assert bed.pod("web-4").device_index == 1, "premise: the second ENI's address"
    assert bed.pod("api").node != bed.pod("web-4").node, "premise: another node"

    assert seen(bed, "web-4", bed.cluster_ip("api")) == ("api", str(bed.pod("web-4").ip))


def test_kube_proxys_jumps_stand_before_the_cnis(bed: Bed) -> None:
    """Chains shared by two programs: a ClusterIP is translated before the CNI looks at it."""
    first = {
        chain: [rule.text for rule in bed.fact(Chain, ns="node-1", table="nat", name=chain).rules]
        for chain in ("PREROUTING", "POSTROUTING")
    }

    assert first["PREROUTING"][0].endswith("-j KUBE-SERVICES")
    assert first["PREROUTING"][1].endswith("-j AWS-CONNMARK-CHAIN-0")
    assert first["POSTROUTING"][0].endswith("-j KUBE-POSTROUTING")
    assert first["POSTROUTING"][1].endswith("-j AWS-SNAT-CHAIN-0")


def test_the_other_way_round_the_cni_takes_a_cluster_ip_for_the_internet(bed: Bed) -> None:
    """amazon-vpc-cni-k8s #3563: the mark sends the packet out of eth0, where its source dies."""
    chain = bed.fact(Chain, ns="node-1", table="nat", name="PREROUTING")
    api = bed.cluster_ip("api")

    with changed(bed, chain, replace(chain, rules=(*chain.rules[1:], chain.rules[0]))):
        assert bed.briefly.tcp("web-4", api, 80).verdict == "timeout"
        assert bed.tcp("web-0", api, 80).delivered, "control: eth0 may send web-0's address"

    assert bed.tcp("web-4", api, 80).delivered
    assert not bed.drift()


def test_without_kube_proxys_jump_a_cluster_ip_is_nobody(bed: Bed) -> None:
    """It is in no interface: the VPC has never heard of it."""
    web = bed.cluster_ip("web")

    with without_rule(bed, "node-2", "nat", "PREROUTING", "KUBE-SERVICES"):
        assert bed.briefly.tcp("client", web, 80).verdict == "timeout"
        assert bed.tcp("web-0", web, 80).delivered, "control: another node translates"

    assert bed.tcp("client", web, 80).delivered
    assert not bed.drift()


def test_a_pod_that_calls_its_own_service_is_called_by_its_node(bed: Bed) -> None:
    """A packet from itself to itself would be dropped; KUBE-SEP marks it to be masqueraded."""
    api = bed.pod("api")
    chain = endpoint_chain("default/api:app", "tcp", f"{api.ip}:8080")

    assert seen(bed, "api", bed.cluster_ip("api")) == ("api", str(bed.address(api.node)))
    with without_rule(bed, api.node, "nat", chain, "KUBE-MARK-MASQ"):
        assert bed.briefly.tcp("api", bed.cluster_ip("api"), 80).verdict == "timeout"
        assert bed.tcp("client", bed.cluster_ip("api"), 80).delivered, "control"
    assert not bed.drift()


def test_a_node_port_of_another_node_shows_that_nodes_address(bed: Bed) -> None:
    """The second hop: the answer has to come back the same way, so the client is hidden."""
    assert {bed.pod(f"web-{i}").node for i in range(5)} == {"node-1"}, "premise"

    found = reached(bed, "client", str(bed.address("node-3")), 30080)

    assert set(found) == {f"web-{i}" for i in range(5)}
    assert set(found.values()) == {str(bed.address("node-3"))}


def test_a_node_port_of_the_pods_own_node_shows_that_nodes_address_too(bed: Bed) -> None:
    """Its veth has no address, so MASQUERADE takes the node's first."""
    found = reached(bed, "client", str(bed.address("node-1")), 30080)

    assert set(found) == {f"web-{i}" for i in range(5)}
    assert set(found.values()) == {str(bed.address("node-1"))}


def test_without_the_masquerade_the_second_hop_has_no_way_back(bed: Bed) -> None:
    """node-3 would send with the client's address, which is not its own: the ENI's check."""
    node = str(bed.address("node-3"))

    chain = service_chain("EXT", "default/web", "tcp")
    with without_rule(bed, "node-3", "nat", chain, "KUBE-MARK-MASQ"):
        assert bed.briefly.tcp("client", node, 30080).verdict == "timeout"
        assert bed.tcp("client", bed.cluster_ip("web"), 80).delivered, "control"

    assert bed.tcp("client", node, 30080).delivered
    assert not bed.drift()


def test_a_node_port_is_on_the_nodes_loopback_too(bed: Bed) -> None:
    """Only because kube-proxy sets route_localnet."""
    setting = bed.fact(Sysctl, ns="node-3", name="net.ipv4.conf.all.route_localnet")

    assert seen(bed, "node-3", "127.0.0.1", 30080)[1] == str(bed.address("node-3"))
    with changed(bed, setting, replace(setting, value="0")):
        assert not bed.briefly.tcp("node-3", "127.0.0.1", 30080).delivered
        assert bed.tcp("node-3", "node-3", 30080).delivered, "control"
    assert not bed.drift()


def test_every_port_of_a_service_leads_to_its_target(bed: Bed) -> None:
    """Two ports, two containers of one pod."""
    api = bed.cluster_ip("api")

    containers = {
        port: (bed.http("client", api, port).answer or {})["container"] for port in (80, 9090)
    }
    assert containers == {80: "app", 9090: "metrics"}
    assert bed.briefly.tcp("client", api, 8080).verdict == "timeout", (
        "the target's number is no port"
    )


def test_a_udp_service_answers_with_its_own_address(bed: Bed) -> None:
    """A connected socket takes an answer only from the address it asked."""
    with socket_in(bed.store, "client", kind=socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE_S)
        client.connect((bed.cluster_ip("api"), 8125))
        client.send(b"hello")
        answer = client.recv(2048)

    assert b'"pod": "api"' in answer
    assert str(bed.pod("client").ip).encode() in answer


def test_a_service_without_endpoints_refuses_at_once(bed: Bed) -> None:
    """By its ClusterIP from pods and nodes, and by its node port."""
    gone = bed.cluster_ip("gone")

    for source in ("client", "web-4", "node-1"):
        assert bed.tcp(source, gone, 80).verdict == "refused"
    assert bed.tcp("client", "node-3", 30090).verdict == "refused"


def test_without_the_reject_callers_wait(bed: Bed) -> None:
    gone = bed.cluster_ip("gone")

    with without_rule(bed, "node-2", "filter", "KUBE-SERVICES", "default/gone"):
        assert bed.briefly.tcp("client", gone, 80).verdict == "timeout"
        assert bed.tcp("web-0", gone, 80).verdict == "refused", "control: another node refuses"

    assert bed.tcp("client", gone, 80).verdict == "refused"
    assert not bed.drift()


def test_a_target_port_that_nobody_serves_is_refused_by_the_pod(bed: Bed) -> None:
    """Kubernetes takes such a Service; its endpoint is there, and closed."""
    assert bed.tcp("client", bed.cluster_ip("shut"), 80).verdict == "refused"
    assert bed.briefly.tcp("client", bed.cluster_ip("shut"), 82).verdict == "timeout"


def test_a_service_added_later_renumbers_nothing(bed: Bed) -> None:
    """Nor does one that goes: what was given is kept, and the rest of the kernel stays."""
    [cluster] = bed.lab.clusters
    assert isinstance(cluster, EksCluster)
    new = Service("new", {"app": "client"}, (ServicePort(80),))
    lab = replace(bed.lab, clusters=(replace(cluster, services=(new, *SERVICES[1:])),))
    allocations = allocate(lab, bed.allocations)
    api = next(one for one in allocations.services if one.service == "api")
    assert api in bed.allocations.services

    bed.change(plan(lab, allocations))
    address = allocations.services[0].cluster_ip
    assert address not in [IPv4Address(bed.cluster_ip(name)) for name in ("api", "gone")]
    assert seen(bed, "web-0", str(address))[0] == "client"
    bed.change(bed.state)

    assert not bed.drift()
