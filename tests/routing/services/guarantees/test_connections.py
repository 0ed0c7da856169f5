"""What Kubernetes promises of pods that call themselves, of affinity's end, of stray segments."""

import re
import socket
from ipaddress import IPv4Address

import pytest

from testbed.bed import Bed
from testbed.kubernetes.model import Service, ServicePort
from testbed.probes.sockets import socket_in
from tests.routing.services.promises import (
    ALL,
    CLUSTER_IP,
    ENOUGH,
    IP,
    NODE_PORT,
    changed,
    everyone,
    serve,
    today,
    who,
)
from tests.routing.services.promises import bed as bed
from tests.segments import Ends, acknowledgement, connected, numbers, send
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

EXTERNAL = "203.0.113.250"
FAR_AHEAD = 1 << 24  # bytes: more than any window here


def echoed(bed: Bed, source: str) -> str:
    """The pod that answered one datagram to the Service."""
    with socket_in(bed.store, source, kind=socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE_S)
        client.connect((IP, 7))
        client.send(b"who")
        return client.recv(4096).decode().split('"pod": "')[1].split('"')[0]


def test_an_endpoint_reaches_all_endpoints_and_itself(bed: Bed) -> None:
    """G5, G12: TCP and UDP, by the ClusterIP and by a node port."""
    http = ServicePort(80, name="http", node_port=NODE_PORT)
    serve(bed, ports=(http, ServicePort(7, name="echo", protocol="UDP")))

    assert everyone(bed, "web-0") == ALL
    assert everyone(bed, "web-0", "10.0.1.11", NODE_PORT) == ALL
    assert {echoed(bed, "web-0") for _ in range(ENOUGH)} == ALL


def test_pods_reach_an_external_address_that_no_node_has(bed: Bed) -> None:
    """G17: 1.14 with iptables on bridges lets the packet leave the node, and nobody has it."""
    serve(bed, external_ips=(IPv4Address(EXTERNAL),))

    asking, expected = (bed, ALL) if today(bed) else (bed.briefly, {"timeout"})

    assert who(asking, "client", EXTERNAL) in expected
    assert who(bed, "client") in ALL, "control: the ClusterIP"


def test_affinity_ends_with_its_timeout(bed: Bed) -> None:
    """G22: it counts from the last connection.  Six clients draw anew: not all the same again."""

    def drawn() -> list[str]:
        return [who(bed, source) for source in (*sorted(ALL), "client", "na", "nb")]

    def drawn_after_a_second() -> list[str]:
        with socket_in(bed.store, "client", kind=socket.SOCK_DGRAM) as nobody_calls:
            nobody_calls.settimeout(1.1)
            with pytest.raises(TimeoutError):
                nobody_calls.recv(1)
        return drawn()

    serve(bed, session_affinity="ClientIP")
    assert drawn() == drawn_after_a_second(), "control: three hours"
    serve(bed, session_affinity="ClientIP", session_affinity_timeout_s=1)

    first = drawn()
    assert any(drawn_after_a_second() != first for _ in range(3))


def test_a_segment_out_of_the_window_resets_no_connection(bed: Bed) -> None:
    """G38 (k/k#74839): conntrack calls it invalid and does not translate it; the caller knows no
    such peer and answers with a reset.  Since 1.15 kube-proxy drops what is invalid."""
    port = ServicePort(80, target_port=8099)
    one = Service("web", {"app": "client"}, (port,), cluster_ip=CLUSTER_IP)
    bed.up(changed(bed, services=(one,)))

    with connected(bed.store, "web-0", "client", 8099, (IP, 80)) as (caller, server):
        ends = Ends(server.getsockname(), server.getpeername())
        now = numbers(server)
        stray = acknowledgement(ends, now.sends + FAR_AHEAD, now.expects)
        before = invalid(bed, "nb")
        send(bed.store, "client", ends, stray)
        if today(bed):
            caller.send(b"on")
            assert server.recv(8) == b"on"
        else:
            with pytest.raises(ConnectionResetError):
                server.recv(8)
        assert invalid(bed, "nb") > before, "the first node that it passes"


def invalid(bed: Bed, node: str) -> int:
    """How many packets conntrack has called invalid on a node."""
    counted = bed.run(node, "conntrack", "-S").stdout
    return sum(int(number) for number in re.findall(r" invalid=([0-9]+)", counted))
