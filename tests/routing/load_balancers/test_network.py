"""Network Load Balancers in real flows: whom targets see, and where flows go."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from testbed.bed import Bed
from testbed.kubernetes.model import ServicePort
from testbed.lab import hostname
from testbed.net.facts import Chain, Route
from testbed.probes.sockets import inside
from tests.routing.load_balancers.network import (
    PODS,
    SHOWN,
    ZONE_A,
    ZONE_B,
    Serve,
    address,
    client,
    codes,
    curl,
    private,
)
from tests.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.kernel


def read_all(called: socket.socket) -> bytes:
    """What comes until the end."""
    with called.makefile("rb") as answers:
        return answers.read()


@contextmanager
def without_node_ports(bed: Bed, *nodes: str) -> Iterator[None]:
    """The lab while nobody listens on these nodes' node ports."""
    chains = {bed.fact(Chain, ns=node, table="nat", name="KUBE-NODEPORTS") for node in nodes}
    emptied = {replace(chain, rules=()) for chain in chains}
    bed.state = bed.state - chains | emptied
    bed.change(bed.state)
    try:
        yield
    finally:
        bed.state = bed.state - emptied | chains
        bed.change(bed.state)


@pytest.mark.parametrize("cluster", ["eks", "kops"])
def test_with_policy_local_the_pod_sees_the_client_itself(serve: Serve, cluster: str) -> None:
    """From the internet by the name: neither the load balancer nor kube-proxy translates it.

    And answers need the router's memory: without the way back they leave by another one.
    """
    bed = serve(cluster, policy="Local")
    [of] = bed.lab.clusters
    name = hostname(bed.lab, of, of.services[0])
    local = {one.node for one in bed.allocations.pods if one.pod.startswith("web")}
    wait_until(
        lambda: all(
            (state == "InService") == (server.target in local)
            for zone in (ZONE_A, ZONE_B)
            for server, state in bed.target_states(zone).items()
        )
    )
    bed.follow_balancers()

    assert client(curl(bed, "internet", name)) == bed.address("internet")
    assert not bed.drift()

    ways = [one for one in bed.state if isinstance(one, Route) and one.table >= 10_000]
    with bed.without(*ways):
        assert not curl(bed.briefly, "internet", address(bed, ZONE_A))


@pytest.mark.parametrize(
    ("annotations", "seen"),
    [
        ({**PODS, "scheme": "internet-facing"}, "load balancer"),
        ({**PODS, "scheme": "internet-facing", **SHOWN}, "client"),
    ],
    ids=["by default", "preserved"],
)
def test_pods_as_targets_see_the_load_balancer_unless_told_otherwise(
    serve: Serve, annotations: dict[str, str], seen: str
) -> None:
    """Addresses as targets of TCP: preservation is off by default; no kube-proxy has a part."""
    bed = serve("eks", **annotations)

    saw = client(curl(bed, "internet", address(bed, ZONE_A)))

    assert (
        str(saw)
        == {
            "client": str(bed.address("internet")),
            "load balancer": private(bed, ZONE_A),
        }[seen]
    )


def test_a_node_is_seen_where_kube_proxy_translates(serve: Serve) -> None:
    """Policy Cluster: the node's own address, as with any load balancer."""
    bed = serve("eks")

    saw = {client(curl(bed, "internet", address(bed, ZONE_A))) for _ in range(8)}

    assert saw <= {bed.address("node-1"), bed.address("node-3")}


def test_one_flow_goes_to_one_target(serve: Serve) -> None:
    """The hash of the five parts: a port used again leads to the same target, others elsewhere."""
    bed = serve("eks", **PODS, scheme="internet-facing")

    first = {port: _asked_from(bed, port) for port in range(40000, 40012)}
    again = {port: _asked_from(bed, port) for port in range(40000, 40012)}

    assert first == again
    assert len({*first.values()}) > 1


def test_with_stickiness_a_client_stays_with_its_target(serve: Serve) -> None:
    attributes = "stickiness.enabled=true,stickiness.type=source_ip"
    bed = serve("eks", **PODS, scheme="internet-facing", target_group_attributes=attributes)

    assert len({_asked_from(bed, port) for port in range(40000, 40012)}) == 1
    assert not bed.drift()


def _asked_from(bed: Bed, port: int) -> str:
    """The pod that answers a client with this port; its connection is reset, and so forgotten."""
    with inside(bed.store, "internet"):
        called = socket.socket()
    with called:
        called.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
        called.settimeout(PATIENCE_S)
        called.bind(("", port))
        called.connect((address(bed, ZONE_A), 80))
        called.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while part := called.recv(4096):
            answer += part
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["pod"])


def test_an_unhealthy_target_gets_no_new_flow_and_all_do_where_none_is_healthy(
    serve: Serve,
) -> None:
    """Health checks come from the load balancer's own address; then it fails open."""
    bed = serve("eks", cross_zone_load_balancing_enabled="true")
    nodes = ("node-1", "node-2", "node-3")

    def ill() -> set[str]:
        states = bed.target_states(ZONE_A)
        return {one.target for one, state in states.items() if state == "OutOfService"}

    wait_until(lambda: not ill())
    with without_node_ports(bed, "node-2"):
        wait_until(lambda: ill() == {"node-2"})
        bed.follow_balancers()
        saw = {client(curl(bed, "internet", address(bed, ZONE_A))) for _ in range(8)}
        assert saw <= {bed.address("node-1"), bed.address("node-3")}
    with without_node_ports(bed, *nodes):
        wait_until(lambda: ill() == {*nodes})
        bed.follow_balancers()
        assert bed.tcp("internet", address(bed, ZONE_A), 80).verdict == "refused", "by a node"


@pytest.mark.parametrize("kind", ["classic", "network"])
def test_source_ranges_keep_others_out(serve: Serve, kind: str) -> None:
    """Without security groups in the VPC the load balancer does it itself: silence."""
    bed = serve("eks")
    [cluster] = bed.lab.clusters
    [web] = cluster.services
    place = ZONE_A if kind == "network" else ZONE_A.replace("nlb", "elb")
    annotations = web.annotations if kind == "network" else {}

    for network, told in (("203.0.113.0/24", {""}), ("198.51.100.0/24", {"X_SOURCE_RANGES"})):
        ranges = (IPv4Network(network), IPv4Network("192.0.2.128/25"))
        only = replace(web, load_balancer_source_ranges=ranges, annotations=annotations)
        bed.up(replace(bed.lab, clusters=(replace(cluster, services=(only,)),)))
        assert not bed.drift()
        asking = bed if told == {""} else bed.briefly
        answer = curl(asking, "internet", address(bed, place))
        assert bool(answer) is (told == {""})
        assert codes(bed, "internet", address(bed, place)) == told


def test_a_flow_that_is_forgotten_is_reset(serve: Serve) -> None:
    """As after 350 s of silence: what comes then belongs to no flow."""
    bed = serve("eks", ServicePort(7), **PODS, scheme="internet-facing")

    with inside(bed.store, "internet"):
        called = socket.create_connection((address(bed, ZONE_A), 7), timeout=PATIENCE_S)
    with called:
        called.sendall(b"hello\n")
        assert called.recv(2048)
        assert bed.run(ZONE_A, "conntrack", "-F").returncode == 0
        called.sendall(b"again\n")
        with pytest.raises(ConnectionResetError):
            read_all(called)


@pytest.mark.parametrize("ends", ["true", "false"])
def test_connections_to_a_target_that_becomes_unhealthy_are_reset(serve: Serve, ends: str) -> None:
    """By the next packet of the client; where that is turned off they stay where they are."""
    attribute = f"target_health_state.unhealthy.connection_termination.enabled={ends}"
    bed = serve(
        "eks",
        ServicePort(7),
        target_group_attributes=attribute,
        cross_zone_load_balancing_enabled="true",
    )

    def ill() -> set[str]:
        states = bed.target_states(ZONE_A)
        return {one.target for one, state in states.items() if state == "OutOfService"}

    wait_until(lambda: not ill())
    with inside(bed.store, "internet"):
        called = socket.create_connection((address(bed, ZONE_A), 7), timeout=PATIENCE_S)
    with called:
        called.sendall(b"hello\n")
        assert called.recv(2048)
        [node] = taken_by(bed, called)
        with without_node_ports(bed, node):
            wait_until(lambda: ill() == {node})
            bed.follow_balancers()
            called.sendall(b"again\n")
            if ends == "true":
                with pytest.raises(ConnectionResetError):
                    read_all(called)
            else:
                assert called.recv(2048)


def taken_by(bed: Bed, called: socket.socket) -> list[str]:
    """The node to which the load balancer sends a client's flow."""
    port = str(called.getsockname()[1])
    flow = bed.run(ZONE_A, "conntrack", "-L", "-p", "tcp", "--orig-port-src", port).stdout
    return [node for node in ("node-1", "node-2", "node-3") if f"src={bed.address(node)} " in flow]


def test_udp_is_balanced_and_keeps_the_client(serve: Serve) -> None:
    """Preservation cannot be turned off for UDP; what nobody listens on is silent."""
    port = ServicePort(7, name="echo", protocol="UDP")
    bed = serve("eks", port, **PODS, scheme="internet-facing")

    with inside(bed.store, "internet"):
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with asking:
        asking.settimeout(PATIENCE_S)
        asking.connect((address(bed, ZONE_A), 7))
        asking.send(b"hello")
        answer = asking.recv(2048)

    assert f'"client": "{bed.address("internet")}:'.encode() in answer
    assert bed.briefly.tcp("internet", address(bed, ZONE_A), 7).verdict == "timeout"
