"""The ports kube-proxy itself has on a node: its health, its mode, and those it only holds."""

import errno
import json
import socket
from dataclasses import replace

import pytest

from testbed.bed import Bed
from testbed.description.ports import Port
from testbed.kubernetes.model import Container, Pod
from testbed.probes.sockets import socket_in
from tests.routing.services.promises import NODE_PORT, changed, cluster, serve, today, who
from tests.routing.services.promises import bed as bed
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel


def curl(bed: Bed, place: str, url: str) -> tuple[int, str]:
    """The status of an answer, 0 for none, and its body."""
    result = bed.run(place, "curl", "-s", "-m2", "-w", "\n%{http_code}", url)
    body, _, status = result.stdout.rpartition("\n")
    return int(status), body


def test_everybody_may_ask_for_its_health(bed: Bed) -> None:
    """G44: 200 and two times, as Go prints them; what is no path of it is not found."""
    status, body = curl(bed, "client", "http://10.0.2.11:10256/healthz")
    told = json.loads(body)

    assert status == 200
    assert list(told)[:2] == ["lastUpdated", "currentTime"]
    assert told["lastUpdated"] == told["currentTime"]
    assert " +0000 UTC m=+" in told["currentTime"]
    assert told.get("nodeEligible", False) is today(bed), "1.14 does not say it"
    assert curl(bed, "na", "http://127.0.0.1:10256/livez")[0] == (200 if today(bed) else 404)
    assert curl(bed, "na", "http://127.0.0.1:10256/") == (404, "404 page not found\n")


def test_the_node_alone_may_ask_for_its_mode(bed: Bed) -> None:
    """G44: --metrics-bind-address is 127.0.0.1:10249."""
    assert curl(bed, "na", "http://localhost:10249/proxyMode") == (200, "iptables")
    assert curl(bed, "na", "http://localhost:10249/healthz") == (200, "ok")
    assert curl(bed, "client", "http://10.0.1.11:10249/proxyMode")[0] == 0


def test_a_node_that_is_being_deleted_says_so_today(bed: Bed) -> None:
    """Load balancers shall send it nothing new; that it lives is another question."""
    nodes = cluster(bed).nodes
    ending = tuple(replace(one, terminating=one.name == "nb") for one in nodes)
    bed.up(changed(bed, nodes=ending))

    status, body = curl(bed, "client", "http://10.0.2.11:10256/healthz")
    assert status == (503 if today(bed) else 200)
    assert json.loads(body).get("nodeEligible") is (False if today(bed) else None)
    assert curl(bed, "client", "http://10.0.1.11:10256/healthz")[0] == 200, "control"
    assert curl(bed, "client", "http://10.0.2.11:10256/livez")[0] == (200 if today(bed) else 404)
    bed.up(changed(bed, nodes=nodes))


def test_it_answers_where_its_flags_say(bed: Bed) -> None:
    """--metrics-bind-address=0.0.0.0:10249, for Prometheus; --healthz-bind-address may be none."""
    before = cluster(bed).kube_proxy
    open_to_all = replace(before, metrics_bind_address="0.0.0.0:9249", healthz_bind_address="")
    bed.up(changed(bed, kube_proxy=open_to_all))

    assert curl(bed, "client", "http://10.0.1.11:9249/proxyMode") == (200, "iptables")
    assert curl(bed, "client", "http://10.0.1.11:10256/healthz")[0] == 0
    bed.up(changed(bed, kube_proxy=before))


def taken(bed: Bed, node: str, number: int, kind: socket.SocketKind) -> bool:
    """Whether a program on the node cannot have a port."""
    with socket_in(bed.store, node, kind=kind) as mine:
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            mine.bind(("0.0.0.0", number))
            if kind == socket.SOCK_STREAM:
                mine.listen()
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def test_it_held_node_ports_so_that_nobody_else_takes_them(bed: Bed) -> None:
    """Until 1.23, on every node, from the Service's first day to its last."""
    serve(bed)
    for node in ("na", "nb"):
        assert taken(bed, node, NODE_PORT, socket.SOCK_STREAM) is not today(bed)
        assert not taken(bed, node, NODE_PORT, socket.SOCK_DGRAM), "the other protocol is free"
        assert not taken(bed, node, NODE_PORT + 1, socket.SOCK_STREAM)

    bed.up(changed(bed, services=()))
    assert not taken(bed, "na", NODE_PORT, socket.SOCK_STREAM)


def test_it_held_an_external_address_that_is_the_nodes_own(bed: Bed) -> None:
    serve(bed, external_ips=(bed.address("nb"),))

    assert taken(bed, "nb", 80, socket.SOCK_STREAM) is not today(bed)
    assert not taken(bed, "na", 80, socket.SOCK_STREAM)


def test_a_pod_on_the_nodes_network_that_has_the_port_keeps_it(bed: Bed) -> None:
    """kube-proxy says in its log that it skips the port; its rules are there all the same."""
    serve(bed)
    ports = (Port(NODE_PORT, "http"), Port(10256, "http"))
    agent = Pod("agent", node="nb", host_network=True, containers=(Container("app", ports),))
    pods = cluster(bed).pods
    bed.up(changed(bed, pods=(*pods, agent)))

    answer = bed.http("na", "nb", 10256).answer
    assert answer is not None
    assert answer["pod"] == "agent"
    assert who(bed, "na", str(bed.address("nb")), NODE_PORT) not in ("agent", "refused")

    bed.up(changed(bed, pods=pods))
    assert curl(bed, "na", f"http://{bed.address('nb')}:10256/healthz")[0] == 200


def test_a_port_that_it_gives_up_ends_nobodys_connection(bed: Bed) -> None:
    """Not that of a pod on the node's network, which has nothing to do with the Service."""
    agent = Pod("agent", node="nb", host_network=True)
    pods = cluster(bed).pods
    serve(bed)
    bed.up(changed(bed, pods=(*pods, agent)))
    with socket_in(bed.store, "na") as client:
        client.settimeout(PATIENCE_S)
        client.connect((str(bed.address("nb")), 7))
        assert b'"pod": "agent"' in client.recv(4096)

        bed.up(changed(bed, services=()))
        client.send(b"still there")

        assert client.recv(4096) == b"still there"
    bed.up(changed(bed, pods=pods))
