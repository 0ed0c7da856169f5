"""The pods' servers answer from a process for all, on sockets inside the pods' namespaces."""

import http.client
import json
import os
import select
import socket
from ipaddress import IPv4Address
from typing import Any

import pytest

from testbed.errors import KernelError
from testbed.kernel.namespaces.enter import new_netns
from testbed.net.served.endpoints import Listener
from testbed.probes import http as http_probe
from testbed.probes.sockets import socket_in
from tests.probes.servers.clients import connected, line
from tests.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.kernel
PIECE = 1 << 16
FULL_S = 0.5  # nothing is taken for this long: it is full
MOST = 1 << 28  # bytes; both directions' buffers at Linux 6.18's largest are 72 MiB


def fill(client: socket.socket, pattern: bytes) -> int:
    """Send until the connection takes no more, both of its ends being full; how many bytes.

    How much that is depends on the kernel: `tcp_rmem` and `tcp_wmem` let both ends grow.
    """
    endless = memoryview(pattern * (PIECE // len(pattern) + 2))
    sent = 0
    client.setblocking(False)
    while select.select([], [client], [], FULL_S)[1]:
        start = sent % len(pattern)
        sent += client.send(endless[start : start + PIECE])
        assert sent < MOST, "more than all buffers on the way can hold"
    return sent


def test_http_tells_who_answered_and_both_addresses(star: Any, serving: Any) -> None:
    """With plain curl, as a user does it."""
    bed = star(2)

    with serving(bed, bed.listeners()):
        said = bed.run("pod-0", "curl", "-s", "http://10.0.0.2/path?x=1")

    answer = json.loads(said)
    assert said.endswith("\n")
    assert answer.pop("client").startswith("10.0.0.1:")
    assert answer == {
        "pod": "pod-1",
        "node": "n",
        "container": "echo",
        "local": "10.0.0.2:80",
        "method": "GET",
        "path": "/path?x=1",
    }


def test_a_connection_carries_many_requests_of_every_kind(star: Any, serving: Any) -> None:
    bed = star(2)

    with serving(bed, bed.listeners()):
        connection = http.client.HTTPConnection("pod-1")
        connection.sock = connected(bed, "pod-0", "pod-1", 80)
        seen = []
        for method, body in (
            ("GET", None),
            ("POST", b"x" * 100_000),
            ("HEAD", None),
            ("GET", None),
        ):
            connection.request(method, "/", body)
            response = connection.getresponse()
            answer = response.read()
            seen.append(json.loads(answer)["client"] if answer else method)
        connection.close()

    assert seen[2] == "HEAD"
    assert seen[0] == seen[1] == seen[3], "one client port: it was one connection"


def test_tcp_speaks_first_then_repeats(star: Any, serving: Any) -> None:
    bed = star(2)

    with serving(bed, bed.listeners()), connected(bed, "pod-0", "pod-1", 7) as client:
        greeting = line(client)
        client.sendall(b"hello\n")
        client.shutdown(socket.SHUT_WR)
        repeated = client.makefile("rb").read()

    assert greeting["pod"] == "pod-1"
    assert greeting["local"] == "10.0.0.2:7"
    assert greeting["client"].startswith("10.0.0.1:")
    assert repeated == b"hello\n"


def test_udp_answers_from_the_address_it_was_sent_to_and_says_which(
    star: Any, serving: Any
) -> None:
    """A node has many addresses; the kernel alone would answer from the one of the way back."""
    bed = star(2)
    bed.ip("pod-1", "address add 10.9.9.9/32 dev lo")
    bed.ip("router", "route add 10.9.9.9 via 10.0.0.2 dev port1 onlink")

    with (
        serving(bed, bed.listeners()),
        socket_in(bed.store, "pod-0", kind=socket.SOCK_DGRAM) as client,
    ):
        client.settimeout(PATIENCE_S)
        client.sendto(b"who?", ("10.9.9.9", 7))
        answer, sender = client.recvfrom(4096)

    assert sender == ("10.9.9.9", 7)
    assert json.loads(answer)["local"] == "10.9.9.9:7"
    assert json.loads(answer)["client"].startswith("10.0.0.1:")
    assert json.loads(answer)["data"] == "who?"


def test_a_listener_may_be_bound_to_one_address(star: Any, serving: Any) -> None:
    """As the hosts of the internet are: many addresses in one namespace, each its own server."""
    bed = star(2)
    bed.ip("pod-1", "address add 10.9.9.8/32 dev lo", "address add 10.9.9.9/32 dev lo")
    hosts = [IPv4Address("10.9.9.8"), IPv4Address("10.9.9.9")]
    listeners = [
        Listener(netns="pod-1", address=host, port=80, protocol="http", pod=str(host), node="n")
        for host in hosts
    ]

    with serving(bed, listeners):
        answers = [http_probe.probe(bed.store, "pod-1", host, 80).answer for host in hosts]

    assert [answer and answer["pod"] for answer in answers] == ["10.9.9.8", "10.9.9.9"]


def test_nobody_is_kept_waiting_by_clients_that_misbehave(star: Any, serving: Any) -> None:
    """Garbage, half a request, nothing at all, a reset, and one that never reads its answers."""
    bed = star(2)

    with serving(bed, bed.listeners()):
        garbage = connected(bed, "pod-0", "pod-1", 80)
        garbage.sendall(os.urandom(20_000) + b"\r\n\r\n")
        half = connected(bed, "pod-0", "pod-1", 80)
        half.sendall(b"GET / HT")
        silent = connected(bed, "pod-0", "pod-1", 80)
        greedy = connected(bed, "pod-0", "pod-1", 80)
        fill(greedy, b"GET / HTTP/1.1\r\n\r\n")
        reset = connected(bed, "pod-0", "pod-1", 7)
        reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        reset.close()

        outcome = http_probe.probe(bed.store, "pod-0", bed.address("pod-1"), 80)
        refusal = garbage.makefile("rb").readline()

        for client in (garbage, half, silent, greedy):
            client.close()

    assert outcome.delivered
    assert refusal.startswith(b"HTTP/1.1 4")


def test_a_client_that_reads_late_gets_everything(star: Any, serving: Any) -> None:
    """While it does not read, the server does not read either: nothing piles up in memory."""
    bed = star(2)
    pattern = b"0123456789abcdef"

    with serving(bed, bed.listeners()), connected(bed, "pod-0", "pod-1", 7) as client:
        line(client)
        sent, received = fill(client, pattern), bytearray()
        client.shutdown(socket.SHUT_WR)
        client.setblocking(True)
        client.settimeout(PATIENCE_S)
        while piece := client.recv(1 << 20):
            received += piece

    assert received == (pattern * (sent // len(pattern) + 1))[:sent]


def test_a_silent_connection_is_closed_after_a_while(star: Any, serving: Any) -> None:
    bed = star(2)

    with (
        serving(bed, bed.listeners(), idle_s=0.2),
        connected(bed, "pod-0", "pod-1", 80) as client,
    ):
        assert client.recv(1) == b"", "the server ends it"


def test_a_closed_namespace_is_not_kept_alive(star: Any, serving: Any) -> None:
    """A socket keeps its namespace: one forgotten connection, and a deleted pod stays for ever."""
    bed = star(2)

    with serving(bed, bed.listeners()) as servers:
        client = connected(bed, "pod-0", "pod-1", 7)
        line(client)

        servers.close(["pod-1"])
        bed.store.drop(["pod-1"])

        wait_until(lambda: "port1" not in bed.run("router", "ip", "-br", "link"))
        assert {listener.netns for listener in servers.listening} == {"pod-0"}
        client.close()


def test_serve_makes_the_listeners_exactly_these(star: Any, serving: Any) -> None:
    bed = star(3)
    pod_1, pod_2 = bed.address("pod-1"), bed.address("pod-2")

    with serving(bed, bed.listeners("pod-0", "pod-1")) as servers:
        servers.serve(bed.listeners("pod-0", "pod-2"))

        assert servers.listening == frozenset(bed.listeners("pod-0", "pod-2"))
        assert http_probe.probe(bed.store, "pod-0", pod_1, 80).verdict == "refused"
        assert http_probe.probe(bed.store, "pod-0", pod_2, 80).delivered


def test_serve_follows_a_name_to_its_new_namespace(star: Any, serving: Any) -> None:
    """A deleted and healed pod: its old sockets are in a namespace nobody can reach."""
    bed = star(2)

    with serving(bed, bed.listeners()) as servers:
        healed = new_netns()
        bed.store.keep({"pod-1": healed})
        os.close(healed)
        bed.ip("pod-1", "link set lo up")

        servers.serve(bed.listeners())

        assert http_probe.probe(bed.store, "pod-1", IPv4Address("127.0.0.1"), 80).delivered


def test_a_port_that_somebody_else_serves_is_named_and_the_others_are_served(
    star: Any, serving: Any
) -> None:
    bed = star(2)

    with serving(bed, []) as servers, socket_in(bed.store, "pod-1") as other:
        other.bind(("0.0.0.0", 80))
        other.listen()
        with pytest.raises(KernelError) as refused:
            servers.open(bed.listeners())

        assert str(refused.value) == (
            "cannot serve 0.0.0.0:80/http of pod-1: Address already in use"
        )
        assert len(servers.listening) == 5
