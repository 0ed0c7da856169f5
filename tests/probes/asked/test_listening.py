"""What is served in a namespace is read from its kernel, whoever serves it."""

import os
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from testbed.kernel.namespaces.enter import new_netns
from testbed.kernel.namespaces.store import LocalStore
from testbed.net.served.endpoints import EVERY_ADDRESS
from testbed.probes.asked.listening import listening
from testbed.probes.sockets import inside, socket_in

pytestmark = pytest.mark.kernel


@pytest.fixture
def store() -> Iterator[LocalStore]:
    with LocalStore() as held:
        for name in ("a", "b"):
            namespace = new_netns()
            held.keep({name: namespace})
            os.close(namespace)
        yield held


def test_only_what_waits_for_anybody_is_listed(store: LocalStore) -> None:
    with (
        socket_in(store, "a") as server,
        socket_in(store, "a", kind=socket.SOCK_DGRAM) as datagrams,
        socket_in(store, "b") as elsewhere,
        socket_in(store, "a") as idle,
    ):
        server.bind(("0.0.0.0", 8080))
        server.listen()
        datagrams.bind(("127.0.0.1", 53))
        elsewhere.bind(("0.0.0.0", 81))
        elsewhere.listen()
        idle.bind(("0.0.0.0", 82))

        found = [(one.protocol, one.address, one.port) for one in listening(store, ["a"])]

    assert found == [("tcp", EVERY_ADDRESS, 8080), ("udp", IPv4Address("127.0.0.1"), 53)]
    assert listening(store, ["a", "b"]) == ()


def test_a_server_of_both_versions_takes_ipv4(store: LocalStore) -> None:
    with inside(store, "a"), socket.create_server(("::", 80), family=socket.AF_INET6):
        [found] = listening(store, ["a"])

    assert (found.address, found.port) == (EVERY_ADDRESS, 80)
