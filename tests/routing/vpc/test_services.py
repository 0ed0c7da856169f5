"""Amazon's own services: how much an interface may ask of them."""

import socket

import pytest

from testbed.bed import Bed
from testbed.probes.sockets import socket_in
from testbed.vpc.fabric.frames import SERVICES_PPS

pytestmark = pytest.mark.kernel

DNS, NOBODYS_PORT = "169.254.169.253", 9
SO_RCVBUFFORCE = 33  # asm-generic/socket.h
BURST = 8 * SERVICES_PPS


def test_an_eni_may_send_amazons_services_1024_packets_a_second(fabric: Bed) -> None:
    """Whatever the service; the others are dropped in silence, and other ENIs see nothing of it.

    The DNS server counts what comes; the numbers leave room for how long sending takes.
    """
    assert fabric.ping("one", DNS).received == 1, "and the router's MAC is known from now on"
    with (
        socket_in(fabric.store, "one", kind=socket.SOCK_DGRAM) as asking,
        socket_in(fabric.store, "dns-main", kind=socket.SOCK_DGRAM) as server,
    ):
        server.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        server.bind((DNS, NOBODYS_PORT))
        server.setblocking(False)
        for _ in range(BURST):
            asking.sendto(b"?", (DNS, NOBODYS_PORT))

        assert fabric.ping("two", DNS).received == 1, "control: another ENI"
        arrived = heard(server)

    assert SERVICES_PPS <= arrived < BURST
    dropped = fabric.run("vpc-main", "nft", "list", "chain", "bridge", "vpc", "mapping").stdout
    [rule] = [line for line in dropped.splitlines() if "link-local rate" in line]
    assert f"counter packets {BURST - arrived} " in rule
    assert not fabric.drift()


def test_the_prediction_takes_a_packet_that_comes_alone(fabric: Bed) -> None:
    assert fabric.path("three", DNS).delivered


def heard(server: socket.socket) -> int:
    """How many datagrams wait."""
    count = 0
    while True:
        try:
            server.recv(16)
        except BlockingIOError:
            return count
        count += 1
