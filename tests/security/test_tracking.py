"""Rules that change under a connection: what an interface tracks lives, the rest is cut at once.

VPC User Guide, "Security group connection tracking".
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network

import pytest

from testbed.bed import Bed
from testbed.probes.sockets import socket_in
from testbed.vpc.security.model import GroupRule, SecurityGroup
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

PORT = 5000
ANYWHERE, VPC = IPv4Network("0.0.0.0/0"), IPv4Network("10.0.0.0/16")
SILENCE_S = 0.4  # how long no answer is waited for

Become = Callable[..., Bed]
Ends = tuple[socket.socket, socket.socket]  # the caller's, and the server's


@contextmanager
def connection(
    bed: Bed, source: str, server: str
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a TCP connection between two pods."""
    with (
        socket_in(bed.store, server) as listening,
        socket_in(bed.store, source) as caller,
    ):
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("0.0.0.0", PORT))
        listening.listen()
        caller.settimeout(PATIENCE_S)
        caller.connect((str(bed.address(server)), PORT))
        called, _ = listening.accept()
        with called:
            yield caller, called


def arrives(sender: socket.socket, receiver: socket.socket) -> bool:
    """Whether something that is said is heard."""
    receiver.settimeout(SILENCE_S)
    sender.send(b"x")
    try:
        return receiver.recv(1) == b"x"
    except TimeoutError:
        return False


def web(*ingress: GroupRule, egress: tuple[GroupRule, ...] | None = None) -> dict[str, object]:
    """a-1 with these rules; b-1 calls it."""
    groups = (SecurityGroup("web", ingress=ingress, egress=egress), SecurityGroup("client"))
    return {"groups": groups, "nodes": {"a-1": ("web",), "b-1": ("client",)}}


TCP = "tcp"
FROM_VPC = GroupRule(protocol=TCP, cidr=VPC)
FROM_ANYWHERE = GroupRule(protocol=TCP, cidr=ANYWHERE)


def test_a_tracked_connection_outlives_its_rule(become: Become) -> None:
    """The range is not 0.0.0.0/0, so the interface tracks the connection."""
    with connection(become(**web(FROM_VPC)), "b-1", "a-1") as (caller, called):
        assert arrives(caller, called)

        bed = become(**web())

        assert arrives(caller, called)
        assert arrives(called, caller)
        assert not bed.briefly.tcp("b-1", "a-1", 80).delivered, "a new one is refused"


def test_an_untracked_connection_is_cut_at_once(become: Become) -> None:
    """In from everywhere and out to everywhere: no tracking, so each packet needs its rule."""
    with connection(become(**web(FROM_ANYWHERE)), "b-1", "a-1") as (caller, called):
        assert arrives(caller, called)
        assert arrives(called, caller)

        become(**web())

        assert not arrives(caller, called)


def test_it_is_tracked_where_the_other_direction_is_not_open(become: Become) -> None:
    """From everywhere, but out to the VPC only: then the answers need the interface's memory."""
    narrow = (GroupRule(cidr=VPC),)
    with connection(become(**web(FROM_ANYWHERE, egress=narrow)), "b-1", "a-1") as both:
        caller, called = both
        become(**web(egress=narrow))

        assert arrives(caller, called)
        assert arrives(called, caller)


def test_answers_of_an_untracked_connection_need_the_egress_rule(become: Become) -> None:
    with connection(become(**web(FROM_ANYWHERE)), "b-1", "a-1") as (caller, called):
        assert arrives(called, caller)

        become(**web(FROM_ANYWHERE, egress=()))

        assert not arrives(called, caller)


def test_a_narrower_rule_takes_an_untracked_connection_over(become: Become) -> None:
    """From now on it is tracked: without any rule it would live on."""
    with connection(become(**web(FROM_ANYWHERE)), "b-1", "a-1") as (caller, called):
        become(**web(FROM_VPC))
        assert arrives(caller, called)

        become(**web())
        assert arrives(caller, called)
        assert arrives(called, caller)


def test_pings_are_always_tracked(become: Become) -> None:
    """Though everything is open: an answer comes back whatever the rules say of it."""
    bed = become(**web(GroupRule(protocol="icmp", icmp_type=8, cidr=ANYWHERE), egress=()))

    assert bed.ping("b-1", "a-1").received == 1
    assert bed.briefly.ping("a-1", "b-1").received == 0
