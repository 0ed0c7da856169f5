"""What an observation leaves behind: nothing."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.errors import KernelError
from testbed.explain.journey import Header
from testbed.probes.observe.observer import observe
from testbed.probes.observe.sent.probe import Probe
from testbed.probes.observe.tracefs import Tracefs
from testbed.probes.observe.watch import Watch
from testbed.probes.sockets import inside
from tests.probes.observe.conftest import UNSPECIFIED
from tests.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.kernel


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
