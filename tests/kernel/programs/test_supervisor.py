"""Real programs in namespaces: they run as described, they are ready, they end."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.errors import KernelError, MissingFeature
from testbed.kernel.machine.scratch import in_scratch
from testbed.kernel.namespaces.enter import entered, new_netns
from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.programs import unix
from testbed.kernel.programs.run import run
from testbed.kernel.programs.supervisor import MARK, Supervisor, end_orphans
from testbed.net.served.programs import Program
from tests.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.kernel

ANSWER = """
import socket, sys
server = socket.create_server(("127.0.0.1", 80))
print("serving", flush=True)
while True:
    client, _ = server.accept()
    client.sendall(open(sys.argv[1], "rb").read())
    client.close()
"""


LATE_SOCKET = """
import os, socket
os.mkfifo("{dir}/listen")
server = socket.socket(socket.AF_UNIX)
server.bind("{dir}/stats")
open("{dir}/listen").close()
server.listen()
server.accept()[0].close()
while True:
    server.accept()[0].sendall(b"asked")
"""


def make(store: LocalStore, *names: str) -> None:
    """Namespaces of these names, their loopbacks up."""
    for name in names:
        namespace = new_netns()
        store.keep({name: namespace})
        with entered(namespace):
            run(["ip", "link", "set", "lo", "up"], timeout_s=PATIENCE_S)
        os.close(namespace)


def answering(netns: str, text: str) -> Program:
    """A server that tells every client a text."""
    return Program(
        netns=netns,
        name="answer",
        argv=(sys.executable, "-c", ANSWER, "{dir}/text"),
        files=(("text", text),),
        listens=(("tcp", 80),),
    )


def answer(store: LocalStore, netns: str) -> str:
    """What the server in a namespace says."""
    namespace = store.open(netns)
    try:
        with entered(namespace):
            return run(["bash", "-c", "cat </dev/tcp/127.0.0.1/80"], timeout_s=PATIENCE_S).stdout
    finally:
        os.close(namespace)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for_end(pid: int) -> None:
    """Until a process has ended that is no child of this one."""
    wait_until(lambda: not alive(pid))


@pytest.fixture
def store() -> Iterator[LocalStore]:
    with LocalStore() as held:
        make(held, "a", "b")
        yield held


@pytest.fixture
def supervisor(store: LocalStore, tmp_path: Path) -> Iterator[Supervisor]:
    with Supervisor(store, tmp_path) as running:
        yield running


def test_a_program_serves_in_its_namespace_when_serve_returns(store, supervisor) -> None:
    """No waiting by the caller: the port is open."""
    supervisor.serve([answering("a", "this is a"), answering("b", "this is b")])

    assert (answer(store, "a"), answer(store, "b")) == ("this is a", "this is b")


def test_a_program_is_ready_when_it_listens_at_its_socket(supervisor) -> None:
    """To have made it is not enough: a connection is refused between bind() and listen()."""
    argv = (sys.executable, "-c", LATE_SOCKET)
    late = Program(netns="a", name="late", argv=argv, sockets=("stats",))
    stats = supervisor.directory("a", "late") / "stats"
    refused = []

    def let_it_listen() -> None:
        wait_until(stats.exists)
        with pytest.raises(ConnectionRefusedError):
            unix.connected(stats, PATIENCE_S)
        refused.append(stats)
        (stats.parent / "listen").open("w").close()  # a FIFO: it has waited for us

    with ThreadPoolExecutor(1) as other:
        let = other.submit(let_it_listen)
        supervisor.serve([late])
        assert refused, "it was said to be ready"
        let.result()
    with unix.connected(stats, PATIENCE_S) as client:
        assert client.recv(5) == b"asked"


def test_what_is_unchanged_goes_on_running(supervisor) -> None:
    """The same value is the same process; the reason it is there does not matter."""
    supervisor.serve([answering("a", "one")])
    before = supervisor.pids()

    supervisor.serve([replace(answering("a", "one"), why="another reason"), answering("b", "two")])

    assert supervisor.pids()["a", "answer"] == before["a", "answer"]


def test_a_program_whose_files_changed_is_started_anew(store, supervisor) -> None:
    supervisor.serve([answering("a", "one")])

    supervisor.serve([answering("a", "two")])

    assert answer(store, "a") == "two"


def test_a_program_that_died_is_started_again(store, supervisor) -> None:
    supervisor.serve([answering("a", "one")])
    [pid] = supervisor.pids().values()
    os.kill(pid, signal.SIGKILL)
    wait_for_end(pid)
    assert supervisor.pids() == {}

    supervisor.serve([answering("a", "one")])

    assert answer(store, "a") == "one"


def test_a_program_moves_to_the_namespace_that_has_the_name_now(store, supervisor) -> None:
    """A lab that is changed may drop a namespace and make another one of the same name."""
    supervisor.serve([answering("a", "one")])
    make(store, "a")

    supervisor.serve([answering("a", "one")])

    assert answer(store, "a") == "one"


def test_a_program_that_is_not_wanted_any_more_ends_by_its_id(supervisor) -> None:
    supervisor.serve([answering("a", "one"), answering("b", "two")])
    pids = supervisor.pids()

    supervisor.retain([answering("b", "two")])

    assert not alive(pids["a", "answer"])
    assert supervisor.pids() == {("b", "answer"): pids["b", "answer"]}


def test_a_program_that_ignores_sigterm_is_killed_and_its_children_too(store, supervisor) -> None:
    """Nothing of a lab outlives it."""
    script = "trap '' TERM; sleep 1000 & echo $! >{dir}/child; : >{dir}/ready; sleep 1001"
    stubborn = Program(netns="a", name="stubborn", argv=("bash", "-c", script))
    supervisor.serve([stubborn])
    directory = supervisor.directory("a", "stubborn")
    wait_until(lambda: (directory / "ready").exists())
    [pid], child = supervisor.pids().values(), int((directory / "child").read_text())
    assert alive(child), "premise"

    supervisor.stop()

    assert not alive(pid)
    wait_for_end(child)


def test_a_program_that_fails_is_reported_with_its_last_words(supervisor) -> None:
    broken = Program(
        netns="a",
        name="haproxy",
        argv=("haproxy", "-db", "-f", "{dir}/haproxy.cfg"),
        files=(("haproxy.cfg", "no such keyword\n"),),
        listens=(("tcp", 80),),
    )

    with pytest.raises(KernelError, match=r"haproxy in a ended at once: .*haproxy.cfg"):
        supervisor.serve([broken])


def test_a_program_that_is_not_installed_is_a_missing_feature(supervisor) -> None:
    """Nothing is started then."""
    absent = Program(netns="a", name="envoy", argv=("envoy",))

    with pytest.raises(MissingFeature, match="the program envoy is not installed"):
        supervisor.serve([answering("b", "two"), absent])

    assert supervisor.pids() == {}


def test_programs_end_with_the_thread_that_started_them(store, tmp_path) -> None:
    """A daemon that is killed takes them along: they never serve for nobody."""
    supervisor = Supervisor(store, tmp_path)
    thread = threading.Thread(target=supervisor.serve, args=([answering("a", "one")],))
    thread.start()
    thread.join()

    [one] = supervisor._running.values()
    assert one.ended(PATIENCE_S)
    supervisor.stop()


def test_programs_do_not_outlive_a_process_that_is_killed(tmp_path) -> None:
    """By SIGKILL: nothing of ours runs any more that could clean up."""
    script = f"""
import sys
from pathlib import Path
from testbed.kernel.namespaces.enter import new_netns
from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.machine.scratch import in_scratch
from testbed.kernel.programs.supervisor import MARK, Supervisor, end_orphans
from testbed.net.served.programs import Program
store = LocalStore()
store.keep({{"a": new_netns()}})
supervisor = Supervisor(store, Path({str(tmp_path)!r}))
supervisor.serve([Program(netns="a", name="sleep", argv=("sleep", "1000"))])
print(*supervisor.pids().values(), flush=True)
sys.stdin.read()
"""
    starter = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    with starter:
        assert starter.stdout
        pid = int(starter.stdout.readline())
        assert alive(pid), "premise"
        starter.kill()

    wait_for_end(pid)


def test_what_a_killed_supervisor_left_is_ended() -> None:
    """Killed between the start of `setpriv` and its being bound: the port would stay taken."""

    def work() -> list[int | None]:
        left = subprocess.Popen(["sleep", "60"], env={**os.environ, MARK: "haproxy"})
        other = subprocess.Popen(["sleep", "60"])
        end_orphans()
        ended = left.wait(timeout=PATIENCE_S)
        running = other.poll()
        other.kill()
        other.wait()
        return [ended, running]

    assert in_scratch(work) == [-signal.SIGKILL, None]
