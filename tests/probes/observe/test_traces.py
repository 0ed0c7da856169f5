"""What an observation leaves behind: nothing; and what goes on beside it: anything."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.errors import KernelError
from testbed.explain.journey import Header
from testbed.lab import Lab
from testbed.probes.observe.observer import Observer, observe
from testbed.probes.observe.sent.probe import Probe
from testbed.probes.observe.tracefs import Tracefs
from testbed.probes.observe.watch import Watch
from testbed.probes.sockets import inside, socket_in
from tests.probes.observe.answers import path
from tests.probes.observe.conftest import UNSPECIFIED
from tests.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.kernel

ALL_THE_WAY = ["web-4", "node-1", "vpc-main", "node-2", "client"]


def echo(bed: Bed, destination: str = "client") -> Header:
    """An echo request."""
    return Header(protocol="icmp", source=UNSPECIFIED, destination=bed.address(destination))


def tables(bed: Bed) -> str:
    """All nft tables of all namespaces."""
    return "".join(bed.run(ns, "nft", "list", "tables").stdout for ns in bed.store.names())


def descriptors() -> int:
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_descriptor_and_no_thread_remains(bed: Bed) -> None:
    before = descriptors(), threading.active_count()

    for tracefs in (False, True):
        observe(bed.store, bed.state, bed.store.names(), "web-4", echo(bed), tracefs=tracefs)

    assert (descriptors(), threading.active_count()) == before


def test_no_table_remains_and_nothing_differs_from_the_plan(bed: Bed) -> None:
    observe(bed.store, bed.state, bed.store.names(), "web-4", echo(bed))

    assert "testbed-trace" not in tables(bed)
    assert not bed.drift()


def test_our_tables_are_no_drift_while_they_are_there(bed: Bed) -> None:
    """`verify` beside `explain`: a table that a running program owns is not the lab's."""
    with inside(bed.store, "web-4"):
        probe = Probe(echo(bed))

    with probe, Watch(bed.store, bed.store.names(), probe):
        assert "testbed-trace" in tables(bed)
        assert not bed.drift()

    assert "testbed-trace" not in tables(bed)


def test_an_exception_in_the_middle_disarms(bed: Bed) -> None:
    """^C, say."""
    before = descriptors()
    with inside(bed.store, "web-4"):
        probe = Probe(echo(bed))

    with pytest.raises(KeyboardInterrupt), probe, Watch(bed.store, bed.store.names(), probe):
        raise KeyboardInterrupt

    assert "testbed-trace" not in tables(bed)
    assert descriptors() == before


def test_a_namespace_that_is_not_there_is_an_error_that_leaves_nothing(bed: Bed) -> None:
    before = descriptors()

    with pytest.raises(KernelError, match="no namespace 'web-9'"):
        observe(bed.store, bed.state, ["node-1", "web-9"], "web-4", echo(bed))

    assert descriptors() == before
    assert "testbed-trace" not in tables(bed)


def test_a_source_that_is_not_the_senders_is_told(bed: Bed) -> None:
    header = Header(
        protocol="udp", source=bed.address("client"), destination=bed.address("node-1")
    )

    seen = observe(bed.store, bed.state, [], "web-4", header)

    assert seen.round_trip.there.end.code == "X_NO_SOURCE"


def test_no_probe_has_a_port_that_conntrack_remembers(bed: Bed) -> None:
    """Of an old connection the rules for new ones would not be asked."""
    header = Header(
        protocol="tcp",
        source=bed.address("web-4"),
        destination=bed.address("client"),
        destination_port=80,
    )
    ports = []
    with inside(bed.store, "web-4"):
        for _ in range(300):
            with Probe(header) as probe:
                probe.send()
                ports.append(probe.sent.source_port)

    assert len(set(ports)) == len(ports)


ARMED = """
import sys
from ipaddress import IPv4Address
from testbed.explain.journey import Header
from testbed.kernel.namespaces.store import LocalStore
from testbed.probes.observe.sent.probe import Probe
from testbed.probes.observe.tracefs import Tracefs
from testbed.probes.observe.watch import Watch
from testbed.probes.sockets import inside

store = LocalStore()
store.keep({name: int(fd) for name, fd in (word.split("=") for word in sys.argv[1:])})
with inside(store, "web-4"):
    probe = Probe(Header(protocol="icmp", source=IPv4Address(0), destination=IPv4Address(1)))
tracefs = Tracefs()
tracefs.start()
with Watch(store, store.names(), probe):
    print(tracefs.name, flush=True)
    sys.stdin.read()
"""


def instances() -> list[str]:
    """tracefs instances of ours on this machine, after somebody began to use it."""
    witness = Tracefs()
    try:
        return witness.others()
    finally:
        witness.close()


@pytest.mark.usefixtures("tracefs")
def test_a_killed_observer_leaves_no_rule(bed: Bed) -> None:
    """The tables belong to a socket: the kernel deletes them with it, however that ends."""
    names = ["web-4", "node-1", "vpc-main"]
    spaces = {name: bed.store.open(name) for name in names}
    arguments = [f"{name}={fd}" for name, fd in spaces.items()]
    with subprocess.Popen(
        [sys.executable, "-c", ARMED, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=spaces.values(),
    ) as child:
        for fd in spaces.values():
            os.close(fd)
        assert child.stdout is not None
        instance = child.stdout.readline().decode().strip()
        assert instance in instances(), "in use: not swept away"
        assert tables(bed).count("testbed-trace") == 4, "three of ip, one of bridge"

        child.send_signal(signal.SIGKILL)
        child.wait(PATIENCE_S)

    assert "testbed-trace" not in tables(bed)
    assert not bed.drift()
    wait_until(lambda: instance not in instances())  # the next one sweeps it away


@pytest.mark.usefixtures("tracefs")
def test_observers_that_come_at_once_do_not_sweep_each_other_away() -> None:
    """An instance that is made just now is open nowhere yet."""
    with ThreadPoolExecutor(4) as pool:
        for made in pool.map(lambda _: Tracefs(), range(12)):
            made.close()


@contextmanager
def floods(bed: Bed) -> Iterator[None]:
    """Two floods of datagrams and a stream of echo requests, over the same nodes."""
    done = threading.Event()
    data = socket_in(bed.store, "web-0", kind=socket.SOCK_DGRAM)
    answers = socket_in(bed.store, "client", kind=socket.SOCK_DGRAM)
    echoes = bed.run  # a real program: ping

    def flood(sender: socket.socket, to: str) -> None:
        target = str(bed.address(to)), 9
        while not done.is_set():
            for _ in range(50):
                with_errors(sender, target)
            time.sleep(0.002)

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
