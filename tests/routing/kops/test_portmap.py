"""hostPort by portmap, in both labs that chain it: the real plugin's rules, and packets."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.description.ports import Port
from testbed.eks.conflist import NETWORK, PORTMAP
from testbed.eks.model import EksCluster
from testbed.eks.wiring.pod import veth_name as eks_veth
from testbed.kops.ipam.stores import NETWORKS
from testbed.kops.model import KopsCluster
from testbed.kops.wiring.names import veth_name as kops_veth
from testbed.kubernetes.model import Container, Pod
from testbed.lab import Lab
from testbed.load import load
from testbed.net.facts import Chain
from testbed.plan import plan
from testbed.probes.sockets import socket_in
from tests.routing.cni.conftest import Explain
from tests.routing.cni.conftest import explain as explain
from tests.routing.cni.conftest import observer as observer
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

Plugin = Callable[..., Any]

LOCALHOST = IPv4Address("127.0.0.1")
EVERYWHERE = IPv4Address("0.0.0.0")
PORTS = (
    Port(80, "http", host_port=8080),
    Port(7, "udp", host_port=7007),
    Port(81, "http", host_port=8081, host_ip=LOCALHOST),
    Port(82, "http", host_port=8082, host_ip=EVERYWHERE),
)
MANY = tuple(Port(9000 + i, "tcp", host_port=9000 + i) for i in range(16))
# kops v1.30, config-cni.template: portmap without a word on snat, which is on then
TODAYS_PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}


def with_pods(lab: Lab, *pods: Pod) -> Lab:
    """The lab with these pods besides its own."""
    [cluster] = lab.clusters
    if isinstance(cluster, KopsCluster):
        cluster = replace(cluster, cni="ptp")
    return replace(lab, clusters=(replace(cluster, pods=(*cluster.pods, *pods)),))


def pod(name: str, ports: tuple[Port, ...], node: str = "node-1") -> Pod:
    return Pod(name, node=node, containers=(Container("app", ports),))


SHOP = (pod("shop", PORTS), pod("many", MANY), pod("other", PORTS[:1], node="node-2"))


@pytest.fixture(scope="module", params=["kops.yaml", "eks.yaml"], ids=["ptp", "aws-cni"])
def bed(request: pytest.FixtureRequest, topologies: Path) -> Iterator[Bed]:
    with bring_up(with_pods(load(topologies / request.param), *SHOP)) as up:
        yield up


def of_plugin(bed: Bed, one: Pod) -> dict[str, Any]:
    """What portmap is given for a pod: its configuration, with what the plugin before left."""
    [cluster] = bed.lab.clusters
    match cluster:
        case EksCluster():
            veth, length, conf = eks_veth(cluster, one), 32, {"name": NETWORK, **PORTMAP}
        case KopsCluster():
            veth, length, conf = kops_veth(one), 24, {"name": NETWORKS["ptp"], **TODAYS_PORTMAP}
    mappings = [
        {"hostPort": port.host_port, "containerPort": port.number, "protocol": port.transport}
        | ({"hostIP": str(port.host_ip)} if port.host_ip else {})
        for port in one.host_ports
    ]
    before = {
        "cniVersion": "0.4.0",
        "interfaces": [{"name": veth}, {"name": "eth0", "sandbox": "/a/pod"}],
        "ips": [{"version": "4", "interface": 1, "address": f"{bed.pod(one.netns).ip}/{length}"}],
    }
    runtime = {"runtimeConfig": {"portMappings": mappings}, "prevResult": before}
    return {"cniVersion": "0.4.0", **conf, **runtime}


def test_the_real_plugin_leaves_the_same_state(bed: Bed, plugin: Plugin) -> None:
    """All of it, and where its jumps stand among kube-proxy's and the CNI's."""
    wanted, with_ports = bed.state, bed.lab
    bare = tuple(replace(one, containers=(Container("app", ()),)) for one in SHOP)
    [cluster] = with_ports.clusters
    pods = tuple(one for one in cluster.pods if one not in SHOP)
    bed.up(replace(with_ports, clusters=(replace(cluster, pods=(*pods, *bare)),)))
    assert not any(
        isinstance(fact, Chain) and fact.name.startswith("CNI-") for fact in bed.state
    ), "premise"

    for one in SHOP:
        conf = of_plugin(bed, one)
        plugin(bed.store, bed.pod(one.netns).node, one.netns, conf, container=one.sandbox)
    bed.lab, bed.state = with_ports, plan(with_ports, bed.allocations)

    assert bed.state == wanted, "premise: every pod is where it was"
    assert not bed.drift()
    bed.up(with_ports)


def seen(bed: Bed, source: str, node: str, port: int = 8080) -> tuple[str, str]:
    """Which pod answered at a node's port, and whom it saw."""
    answer = bed.http(source, node, port).answer
    assert answer is not None, (source, node, port)
    return str(answer["pod"]), str(answer["client"]).rsplit(":", 1)[0]


def test_clients_keep_their_addresses(bed: Bed) -> None:
    assert seen(bed, "node-2", "node-1") == ("shop", str(bed.address("node-2")))
    assert seen(bed, "node-1", "node-2")[0] == "other", "each node has its own"
    assert seen(bed, "node-2", "node-1", 8082)[0] == "shop"


def test_the_node_reaches_it_by_its_loopback_and_the_pod_itself(bed: Bed) -> None:
    """Both would get answers from a wrong address without another source."""
    assert seen(bed, "node-1", "127.0.0.1")[0] == "shop"
    assert seen(bed, "shop", "node-1")[0] == "shop"
    assert seen(bed, "node-1", "127.0.0.1", 8081)[0] == "shop"


def test_a_port_of_one_address_is_closed_on_others(bed: Bed, explain: Explain) -> None:
    """127.0.0.1's is not the node's."""
    node = str(bed.address("node-1"))
    for port, delivered in ((8080, True), (8081, False), (9015, True)):
        got = explain("node-2", node, port)
        assert (port, got.difference, got.delivered) == (port, None, delivered)
    assert explain("node-2", node, 8081).cause == ("node-1", "X_CLOSED_PORT")


def test_without_its_chain_the_port_is_closed(bed: Bed, explain: Explain) -> None:
    jumps = bed.fact(Chain, ns="node-1", table="nat", name="CNI-HOSTPORT-DNAT")

    with bed.without():
        bed.change(bed.state - {jumps} | {replace(jumps, rules=())})
        closed = explain("node-2", str(bed.address("node-1")), 8080)

    assert (closed.difference, closed.cause) == (None, ("node-1", "X_CLOSED_PORT"))


def test_a_udp_client_reaches_the_pod_that_has_the_port_now(bed: Bed) -> None:
    """portmap forgets the port's connections when it comes: a client may keep its own port."""
    before = bed.lab
    taking = pod("taking", PORTS[1:2])
    [cluster] = before.clusters
    others = tuple(one for one in cluster.pods if one.name != "shop")
    with socket_in(bed.store, "node-2", kind=socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE_S)
        client.connect((str(bed.address("node-1")), 7007))
        client.send(b"one")
        assert b'"pod": "shop"' in client.recv(4096)

        bed.up(replace(before, clusters=(replace(cluster, pods=(*others, taking)),)))
        client.send(b"two")

        assert b'"pod": "taking"' in client.recv(4096)
    bed.up(before)


def test_one_port_of_two_addresses_and_two_protocols_is_for_three_pods(bed: Bed) -> None:
    """G42: no conflict between pods with same hostPort but different hostIP and protocol."""
    before = bed.lab
    [cluster] = before.clusters
    own = IPv4Address(str(bed.address("node-1")))
    three = (
        pod("inner", (Port(80, "http", host_port=8083, host_ip=LOCALHOST),)),
        pod("outer", (Port(80, "http", host_port=8083, host_ip=own),)),
        pod("datagrams", (Port(7, "udp", host_port=8083, host_ip=own),)),
    )
    others = tuple(one for one in cluster.pods if one not in SHOP)
    bed.up(replace(before, clusters=(replace(cluster, pods=(*others, *three)),)))

    assert bed.allocations.pending == ()
    assert seen(bed, "node-2", "node-1", 8083)[0] == "outer"
    assert seen(bed, "node-1", "127.0.0.1", 8083)[0] == "inner"
    with socket_in(bed.store, "node-2", kind=socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE_S)
        client.connect((str(own), 8083))
        client.send(b"who?")
        assert b'"pod": "datagrams"' in client.recv(4096)
    bed.up(before)
