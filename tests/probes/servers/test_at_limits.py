"""The pods' servers with no descriptor left, killed, or without whom they serve."""

import os
import resource
import select
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from testbed.kernel.namespaces.store import LocalStore
from testbed.probes import http as http_probe
from testbed.probes.servers.process import SPARE
from testbed.probes.servers.processes import Servers
from tests.probes.servers.clients import connected, line
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel


def test_when_descriptors_run_out_clients_wait_and_are_served_later(
    star: Any, serving: Any
) -> None:
    """A listening socket that can not accept stays ready: the loop must not spin on it."""
    bed = star(2)

    with serving(bed, bed.listeners()) as servers, ExitStack() as clients:
        [pid] = servers.pids
        in_use = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (in_use + 20, hard))
        greeted = [clients.enter_context(connected(bed, "pod-0", "pod-1", 7)) for _ in range(30)]
        wait_until(lambda: len(list(Path(f"/proc/{pid}/fd").iterdir())) == in_use + 20)
        before = cpu_ticks(pid)
        select.select([], [], [], 0.3)
        busy = cpu_ticks(pid) - before
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        last = line(greeted[-1])

    assert last["pod"] == "pod-1"
    assert busy < 0.1 * os.sysconf("SC_CLK_TCK")


def cpu_ticks(pid: int) -> int:
    """What a process has used: proc(5), fields 14 and 15 of its stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_one_connection_too_many_ends_the_longest_silent_one(star: Any, serving: Any) -> None:
    bed = star(2)

    with serving(bed, bed.listeners(), most_connections=2), ExitStack() as clients:
        first, second, third = (
            clients.enter_context(connected(bed, "pod-0", "pod-1", 7)) for _ in range(3)
        )
        for client in (first, second, third):
            line(client)

        assert first.recv(1) == b"", "the server ended it"
        second.sendall(b"still here\n")
        assert second.recv(100) == b"still here\n"


def test_when_no_descriptor_is_left_to_listen_with_that_is_said_once(
    star: Any, serving: Any
) -> None:
    """Not a line for each of ten thousand listeners."""
    bed = star(8)
    with serving(bed, []) as servers:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        in_use = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # a count, as /proc has it
        resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 10, hard))
        try:
            with pytest.raises(OSError, match="Too many open files"):
                servers.open(bed.listeners())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_one_process_may_not_have_another_serves(star: Any, serving: Any) -> None:
    """Ten thousand pods have more sockets than a process may have descriptors."""
    bed = star(8)
    few = 1 + SPARE + len(bed.listeners("pod-0", "pod-1"))

    with serving(bed, [], most_connections=1) as servers:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(resource, "getrlimit", lambda _: (few, few))
            for pod in bed.pods:
                servers.open(bed.listeners(pod))
        answers = [http_probe.probe(bed.store, "pod-0", bed.address(p), 80) for p in bed.pods]

        assert len(servers.pids) == 4
        assert [one.answer and one.answer["pod"] for one in answers] == bed.pods
        assert servers.listening == frozenset(bed.listeners())


def test_a_process_that_was_killed_serves_nothing_until_the_next_serve(
    star: Any, serving: Any
) -> None:
    bed = star(2)

    with serving(bed, bed.listeners()) as servers:
        servers.serve(bed.listeners())
        assert not servers.silent
        [pid] = servers.pids
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not servers.listening)
        assert servers.silent == frozenset(bed.listeners())
        servers.serve(bed.listeners())

        assert not servers.silent
        assert http_probe.probe(bed.store, "pod-0", bed.address("pod-1"), 80).delivered
        assert servers.pids != (pid,)


def test_servers_end_with_whoever_started_them(star: Any) -> None:
    """However that ends: nothing may keep a port, or a namespace."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        [pid] = Servers(LocalStore()).pids
        os.write(tell, b"%d" % pid)
        signal.pause()
    pid = int(os.read(told, 20))

    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

    wait_until(lambda: not Path(f"/proc/{pid}/exe").exists())
    os.close(told)
    os.close(tell)
