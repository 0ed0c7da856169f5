"""Two first packets at once: both are translated before either is confirmed, and they clash.

The client and far are on node nb, web-0 and web-1 on na.  k/k: kubernetes/kubernetes.
"""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from testbed.bed import Bed
from testbed.kernel.netlink import conntrack
from testbed.kernel.netlink.conntrack import Counters
from testbed.kubernetes.model import Service, ServicePort
from testbed.probes.sockets import inside, socket_in
from tests.held import Held, held
from tests.routing.services.promises import bed as bed
from tests.routing.services.promises import changed, cluster, today
from tests.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.kernel

ECHO, NODE_PORT, PORT = 7, 30007, 5353  # the clients' own port is the last one
SERVICE_IP = "172.20.0.110"
DRAWS = 60  # tries: of two endpoints all of them draw one twice once in 10**18 times


def serve(bed: Bed, *endpoints: str) -> None:
    """One UDP Service, of these pods."""
    pods = tuple(
        replace(pod, labels={"app": "echo"} if pod.name in endpoints else {})
        for pod in cluster(bed).pods
    )
    port = ServicePort(53, target_port=ECHO, node_port=NODE_PORT, protocol="UDP")
    address = IPv4Address(SERVICE_IP)
    one = Service("echo", {"app": "echo"}, (port,), type="NodePort", cluster_ip=address)
    bed.up(changed(bed, pods=pods, services=(one,)))


@contextmanager
def client(bed: Bed, place: str, port: int = 0) -> Iterator[socket.socket]:
    """A UDP socket, bound to a port."""
    with socket_in(bed.store, place, kind=socket.SOCK_DGRAM) as made:
        made.settimeout(PATIENCE_S)
        made.bind(("", port))
        yield made


def answer(client: socket.socket) -> dict[str, str]:
    """The next answer: which pod gave it, and to what."""
    found: dict[str, str] = json.loads(client.recv(4096))
    return found


def counted(bed: Bed, node: str) -> Counters:
    """What `conntrack -S` says there."""
    with inside(bed.store, node):
        return conntrack.counters()


def clashes(counted: Counters) -> int:
    """How many entries there were that could not be made as they were meant."""
    return counted.insert_failed + counted.clash_resolve


def test_two_clients_get_one_port_of_a_node_and_one_is_lost(bed: Bed) -> None:
    """k/k#76699, #78547: both callers have the same port, and it is free behind the node until
    one of them is confirmed.  Since 1.16 kube-proxy masquerades with --random-fully."""
    serve(bed, "far")
    before = counted(bed, "na")

    with (
        client(bed, "outside", PORT) as one,
        client(bed, "nb", PORT) as other,
        held(bed, "na", "udp", ECHO) as queue,
    ):
        for caller in (one, other):
            caller.sendto(b"first", ("10.0.1.11", NODE_PORT))
            queue.wait(1)
        assert [*map(str, queue.destinations)] == [str(bed.address("far"))] * 2
        queue.release()
        assert answer(one)["data"] == "first"
        if today(bed):
            assert answer(other)["data"] == "first"
        else:
            wait_until(lambda: counted(bed, "na").insert_failed > before.insert_failed)

    with client(bed, "nb", PORT) as other:
        other.sendto(b"again", ("10.0.1.11", NODE_PORT))
        assert answer(other)["data"] == "again", "another port is taken"
    lost = counted(bed, "na").insert_failed - before.insert_failed
    assert lost == (0 if today(bed) else 1)


def two_endpoints(caller: socket.socket, queue: Held) -> bool:
    """Whether two questions at once wait to be sent to one endpoint each."""
    for question in (b"A", b"AAAA"):
        caller.sendto(question, (SERVICE_IP, 53))
    queue.wait(2)
    return len({*queue.destinations}) == 2


def test_two_questions_of_one_socket_go_to_two_dns_servers(bed: Bed) -> None:
    """k/k#56903: the second one's entry clashes.  Before Linux 5.7 it was dropped, and a resolver
    asked again after 5 s; now the entry counts for the answers alone (clash_resolve)."""
    serve(bed, "web-0", "web-1")
    before = counted(bed, "nb")

    with held(bed, "nb", "udp", ECHO) as queue:
        for _ in range(DRAWS):
            with client(bed, "client") as caller:
                if two_endpoints(caller, queue):
                    queue.release()
                    answers = [answer(caller)]
                    wait_until(lambda: clashes(counted(bed, "nb")) > clashes(before))
                    if counted(bed, "nb").clash_resolve > before.clash_resolve:
                        answers.append(answer(caller))
                        assert {one["pod"] for one in answers} == {"web-0", "web-1"}
                        assert {one["data"] for one in answers} == {"A", "AAAA"}
                    else:
                        assert counted(bed, "nb").insert_failed > before.insert_failed
                    return
                queue.release()
    pytest.fail("kube-proxy's rules chose one endpoint each time")
