"""What goes on beside an observation changes nothing of it: floods, observers, other labs."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from testbed.bed import Bed
from testbed.explain.journey import Header
from testbed.lab import Lab
from testbed.probes.observe.observer import Observer, observe
from testbed.probes.sockets import socket_in
from tests.probes.observe.answers import path
from tests.probes.observe.conftest import UNSPECIFIED

pytestmark = pytest.mark.kernel
PACE_S = 0.002  # between two bursts of a flood
ALL_THE_WAY = ["web-4", "node-1", "vpc-main", "node-2", "client"]


def echo(bed: Bed, destination: str = "client") -> Header:
    """An echo request."""
    return Header(protocol="icmp", source=UNSPECIFIED, destination=bed.address(destination))


@contextmanager
def floods(bed: Bed) -> Iterator[None]:
    """Two floods of datagrams and a stream of echo requests, over the same nodes."""
    done = threading.Event()
    data = socket_in(bed.store, "web-0", kind=socket.SOCK_DGRAM)
    answers = socket_in(bed.store, "client", kind=socket.SOCK_DGRAM)
    echoes = bed.run  # a real program: ping

    def flood(sender: socket.socket, to: str) -> None:
        target = str(bed.address(to)), 9
        while not done.wait(PACE_S):
            for _ in range(50):
                with_errors(sender, target)

    def ping() -> None:
        while not done.is_set():
            echoes("web-4", "ping", "-q", "-c", "50", "-i", "0.002", str(bed.address("client")))

    threads = [
        threading.Thread(target=flood, args=(data, "client")),
        threading.Thread(target=flood, args=(answers, "web-4")),
        threading.Thread(target=ping),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()
        data.close()
        answers.close()


def with_errors(sender: socket.socket, target: tuple[str, int]) -> None:
    """Nobody listens there."""
    try:
        sender.sendto(b"x" * 400, target)
    except OSError:
        return


@pytest.mark.parametrize("tracefs", [False, True])
def test_other_traffic_changes_no_answer(bed: Bed, tracefs: bool) -> None:
    everywhere = bed.store.names()
    with floods(bed), Observer(bed.store, tracefs=tracefs) as observer:
        for _ in range(5):
            arrived = observer.observe(bed.state, everywhere, "web-4", echo(bed))
            closed = Header(
                protocol="udp",
                source=UNSPECIFIED,
                destination=bed.address("client"),
                destination_port=99,
            )
            refused = observer.observe(bed.state, everywhere, "web-4", closed)

            assert arrived.round_trip.there.end.delivered
            assert path(arrived.round_trip.there) == ALL_THE_WAY
            assert path(arrived.round_trip.back) == list(reversed(ALL_THE_WAY))
            assert arrived.contradictions == ()
            assert refused.round_trip.there.end.code == "X_CLOSED_PORT"
            assert path(refused.round_trip.there) == ALL_THE_WAY
    assert not bed.drift()


def test_two_observers_in_one_lab_do_not_see_each_other(bed: Bed) -> None:
    found: list[list[str]] = []

    def look() -> None:
        with Observer(bed.store, tracefs=False) as observer:
            for _ in range(5):
                seen = observer.observe(bed.state, bed.store.names(), "web-4", echo(bed))
                found.append(path(seen.round_trip.there))

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [ALL_THE_WAY] * 10
    assert not bed.drift()


def test_another_lab_of_equal_names_is_no_matter(bed: Bed, beds: Callable[[Lab], Bed]) -> None:
    other = beds(bed.lab)

    for one in (bed, other):
        seen = observe(one.store, one.state, one.store.names(), "web-4", echo(one))
        assert path(seen.round_trip.there) == ALL_THE_WAY


@pytest.mark.parametrize("size", [0, 1500])
def test_only_what_is_watched_is_seen(bed: Bed, size: int) -> None:
    """The way is known as far as somebody looks; that it was answered is known all the same."""
    asked = replace(echo(bed), size=size)
    seen = observe(bed.store, bed.state, ["node-1"], "web-4", asked, timeout_s=0.1)

    assert path(seen.round_trip.there) == ["web-4", "node-1"]
    assert seen.round_trip.there.end.code == "X_UNWATCHED"
    assert "vpc-main" in seen.round_trip.there.end.text


def test_a_rule_set_that_changes_is_read_again(bed: Bed) -> None:
    """Texts are kept by the rule set's number, which every change makes another one."""
    everywhere = bed.store.names()
    with Observer(bed.store, tracefs=False) as observer:
        observer.observe(bed.state, everywhere, "web-4", echo(bed))
        bed.run("node-1", "iptables-nft", "-I", "FORWARD", "-p", "icmp", "-j", "DROP")
        try:
            seen = observer.observe(bed.state, everywhere, "web-4", echo(bed))
        finally:
            bed.run("node-1", "iptables-nft", "-D", "FORWARD", "1")

    assert seen.round_trip.there.end.text == "node-1 drops it: filter FORWARD: -p icmp -j DROP"
