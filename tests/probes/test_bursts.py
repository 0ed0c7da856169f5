"""Many datagrams in one call, over a loopback device."""

import errno
import socket
from typing import Any

import pytest

from testbed.probes.bursts import Inbox, Outbox, name
from testbed.probes.sockets import socket_in
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

EXPERIMENTAL = 253  # a protocol that nobody serves: RFC 3692
IP_HEADER = 20  # bytes that a raw socket receives before the packet
HERE, NOWHERE = name("127.0.0.1"), name("203.0.113.1")


def raw(bed: Any) -> socket.socket:
    return socket_in(bed.store, "router", kind=socket.SOCK_RAW, protocol=EXPERIMENTAL)


def taken(own: socket.socket, inbox: Inbox, count: int) -> list[bytes]:
    """What so many packets say; they may be a while on their way."""
    found: list[bytes] = []

    def take() -> bool:
        packets = bytes(inbox.receive(own.fileno()))
        starts = range(0, len(packets), inbox.size)
        found.extend(packets[start + IP_HEADER : start + inbox.size] for start in starts)
        return len(found) >= count

    wait_until(take)
    return found


def test_all_are_sent_and_taken_in_order(star: Any) -> None:
    """There is room for two at a time."""
    with raw(star(0)) as own:
        sent = list(Outbox(3, 4).send(own.fileno(), [HERE] * 3, [b"abcd", b"efgh", b"ijkl"]))
        heard = taken(own, Inbox(2, IP_HEADER + 4), 3)

    assert sent == []
    assert heard == [b"abcd", b"efgh", b"ijkl"]


def test_what_is_shorter_than_the_one_before_ends_with_zeros(star: Any) -> None:
    """Else a packet could seem to repeat what another one said."""
    inbox = Inbox(1, IP_HEADER + 8)
    with raw(star(0)) as own:
        heard = []
        for said in (b"12345678", b"ab"):
            list(Outbox(1, len(said)).send(own.fileno(), [HERE], [said]))
            heard += taken(own, inbox, 1)

    assert heard == [b"12345678", b"ab\0\0\0\0\0\0"]


def test_each_refusal_is_told_with_its_place(star: Any) -> None:
    """The kernel stops at the first; nobody behind it is forgotten."""
    names = [HERE, NOWHERE, NOWHERE, HERE]
    with raw(star(0)) as own:
        refused = list(Outbox(4, 1).send(own.fileno(), names, [b"a", b"b", b"c", b"d"]))
        heard = taken(own, Inbox(4, IP_HEADER + 1), 2)

    assert refused == [(1, errno.ENETUNREACH), (2, errno.ENETUNREACH)]
    assert heard == [b"a", b"d"]


def test_a_closed_socket_is_an_error() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        Inbox(1, 8).receive(-1)
