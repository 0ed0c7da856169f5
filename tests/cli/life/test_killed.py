"""Whatever is killed or stopped: the next command is right, and nothing survives wrongly."""

import errno
import fcntl
import os
import select
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.daemon.process.home import OWNER_RECORD, Home, directory
from testbed.kernel.machine.processes import Process, record
from tests.cli.conftest import Commands, OnAHost
from tests.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.kernel


def holder_of(commands: Commands) -> Process:
    """The lab's first process."""
    holder = Home(commands.name).holder()
    assert holder is not None
    return holder


@contextmanager
def sleeping(commands: Commands) -> Iterator[tuple[int, int]]:
    """An `exec` that lasts: its process, and a pidfd of the program it has started."""
    process = commands.start(
        "exec", "-l", commands.name, "web-0", "--", "sh", "-c", "echo started; exec sleep 600"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    [child] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    handle = os.pidfd_open(int(child))
    try:
        yield process.pid, handle
    finally:
        os.close(handle)
        process.kill()
        process.communicate(timeout=PATIENCE_S)


def ends(handle: int) -> bool:
    """Whether the process of a pidfd ends."""
    return bool(select.select([handle], [], [], PATIENCE_S)[0])


def test_a_killed_exec_takes_its_program_along(commands: Commands) -> None:
    """As with `ip netns exec`, which becomes the program."""
    commands.up()
    with sleeping(commands) as (command, program):
        os.kill(command, signal.SIGKILL)

        assert ends(program)


def test_a_stopped_exec_does_not_keep_a_lab_from_ending(commands: Commands) -> None:
    """^Z in another terminal: the kernel waits until that `exec` has buried its child."""
    commands.up()
    with sleeping(commands) as (command, program):
        os.kill(command, signal.SIGSTOP)

        assert "down" in commands.down()
        assert ends(program)
    assert not Home(commands.name).path.exists()


@contextmanager
def stopped(process: int) -> Iterator[None]:
    """Held by a signal, as ^Z or a debugger does."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)


def test_a_stopped_daemon_is_named_instead_of_waited_for(commands: Commands) -> None:
    """Whoever asks is told what to do; what needs no daemon works; then all goes on."""
    commands.up()
    daemon = commands.kill_worker()  # it would answer
    with stopped(daemon):
        for said in (
            commands.on("get", "pods", code=4),
            commands.run("up", str(commands.file), code=4),
            commands.run("ls"),
        ):
            assert f"`kill -CONT {daemon}`" in said
        commands.on("exec", "web-0", "--", "true")

    commands.on("verify")


def test_a_stopped_worker_is_named_too(commands: Commands) -> None:
    commands.up()
    worker = commands.worker()
    with stopped(worker):
        assert f"`kill -CONT {worker}`" in commands.on("get", "pods", code=4)

    commands.on("verify")


def test_a_lab_with_a_stopped_daemon_goes_down(commands: Commands) -> None:
    commands.up()
    with stopped(commands.daemon()):
        assert "down" in commands.down()
    assert not Home(commands.name).path.exists()


def test_a_daemon_that_is_stopped_long_still_lets_nobody_wait(commands: Commands) -> None:
    """Requests of people who have left fill its queue; it is no reason to start another one."""
    commands.up()
    daemon = commands.kill_worker()  # it would take them in
    with stopped(daemon), ExitStack() as gone:
        queue_is_full = False
        while not queue_is_full:
            waiting = gone.enter_context(socket.socket(socket.AF_UNIX))
            waiting.setblocking(False)
            queue_is_full = waiting.connect_ex(str(Home(commands.name).socket)) == errno.EAGAIN

        assert "stopped" in commands.run("up", str(commands.file), code=4)

    commands.on("verify")
    assert commands.daemon() == daemon


def test_a_daemon_that_nobody_can_reach_is_succeeded(commands: Commands) -> None:
    """Its socket was removed, with old files perhaps; two daemons would write the same rules."""
    commands.up()
    earlier = os.pidfd_open(commands.daemon())
    Home(commands.name).socket.unlink()
    try:
        commands.up()

        assert ends(earlier)
    finally:
        os.close(earlier)
    commands.on("verify")


def test_a_daemon_that_is_gone_before_it_answers_is_succeeded(commands: Commands) -> None:
    """Killed a moment ago it still listens; on a busy machine that moment is long."""
    commands.up()
    commands.kill_daemon()
    place = Home(commands.name).socket
    place.unlink()

    with socket.socket(socket.AF_UNIX) as dying:
        dying.settimeout(PATIENCE_S)
        dying.bind(str(place))
        dying.listen()
        asked = commands.start("up", str(commands.file))
        question = b""
        while not question:  # who only looks whether somebody listens says nothing
            connection, _ = dying.accept()
            with connection:
                question = connection.recv(1)
                if question:
                    dying.close()
    _, errors = asked.communicate(timeout=PATIENCE_S)

    assert asked.returncode == 0, errors
    assert commands.on("verify")


def test_a_daemon_waits_for_what_an_earlier_one_had_forked(commands: Commands) -> None:
    """It may be at work for a moment still; all of them have the daemon's log, locked."""
    commands.up()
    commands.kill_daemon()
    with Home(commands.name).log.open("a") as of_a_child:
        fcntl.flock(of_a_child, fcntl.LOCK_EX)
        waited_for = f":{os.fstat(of_a_child.fileno()).st_ino} "
        asked = commands.start("up", str(commands.file))
        wait_until(lambda: asked.poll() is not None or _is_awaited(waited_for))
        assert asked.poll() is None, "it did not wait"

    _, errors = asked.communicate(timeout=PATIENCE_S)
    assert asked.returncode == 0, errors
    commands.on("verify")


def _is_awaited(file: str) -> bool:
    """Whether somebody waits for the lock of a file: proc_locks(5).

    1: FLOCK  ADVISORY  WRITE 12345 00:2f:1234 0 EOF
    1: -> FLOCK  ADVISORY  WRITE 12346 00:2f:1234 0 EOF
    """
    lines = Path("/proc/locks").read_text().splitlines()
    return any("-> FLOCK" in line and file in line for line in lines)


def test_what_was_applied_last_is_told_when_it_cannot_be_read(commands: Commands) -> None:
    """By another version of the testbed, or damaged; by whoever reads it."""
    commands.up()
    readers = (
        ("exec", "-l", commands.name, "nobody", "--", "true"),
        ("upgrade", "-l", commands.name, "--dry-run"),
        ("up", str(commands.file)),
    )
    for damage in (b'{"lab": {"name": 5}}', b"\xff"):
        Home(commands.name).applied.write_bytes(damage)
        commands.kill_daemon()  # what it knows is right yet

        for words in readers:
            told = f"`testbed down {commands.name}`, then `testbed up FILE`"
            assert told in commands.run(*words, code=5), words
    commands.down()
    commands.up()


@pytest.mark.parametrize("record_of", ["{}", '{"pid": "x", "started": 1, "pids": 1}', "[]"])
def test_a_record_that_is_none_is_no_process(commands: Commands, record_of: str) -> None:
    home = Home(commands.name)
    home.path.mkdir(mode=0o700, parents=True)
    (home.path / "holder.json").write_text(record_of)

    assert not commands.running()
    commands.up()
    commands.on("verify")


def test_after_its_container_was_restarted_a_lab_is_swept(commands: Commands) -> None:
    """The container's /run is as it was, and its processes have another pid namespace."""
    home = Home(commands.name)
    home.path.mkdir(mode=0o700, parents=True)
    gone = replace(Process.of(os.getpid()), pids=1)
    home.record_holder(gone)
    home.write(OWNER_RECORD, record(gone))

    assert not commands.running()
    commands.up()
    commands.on("verify")


def test_a_lab_of_another_container_is_left_alone(on_a_host: OnAHost) -> None:
    """Whose /run is shared: from here nobody can tell which process is which."""

    def test(commands: Commands) -> None:
        commands.up()
        home, holder = Home(commands.name), holder_of(commands)
        home.record_holder(replace(holder, pids=1))

        for words in (["ls"], ["down", commands.name], ["up", str(commands.file)]):
            assert "another container" in commands.run(*words, code=2)

        home.record_holder(holder)
        commands.on("verify")

    on_a_host(test)


def test_where_nobody_buries_the_dead_a_lab_ends_all_the_same(on_a_host: OnAHost) -> None:
    """The first process of a container is often `sleep` or the like; here it is this test."""

    def test(commands: Commands) -> None:
        commands.up()
        with sleeping(commands) as (command, program):
            os.kill(command, signal.SIGKILL)
            assert ends(program)

        assert "down" in commands.down()
        assert not Home(commands.name).path.exists()
        commands.up()
        commands.on("verify")

    on_a_host(test)


def test_a_lab_whose_owner_died_is_not_trusted(commands: Commands) -> None:
    """Between the kill of an `up` and the end of its lab the lab may still seem to run."""
    commands.up()
    first = holder_of(commands)
    dead = replace(Process.of(os.getpid()), started=1)
    (Home(commands.name).path / OWNER_RECORD).write_text(record(dead))

    assert not commands.running()
    commands.up()

    assert holder_of(commands) != first
    assert not first.alive()
    commands.on("verify")


def test_a_lock_that_its_owner_has_left_is_swept(commands: Commands) -> None:
    """Killed before it had made anything."""
    lock = directory() / f".{commands.name}.lock"
    lock.touch()

    commands.run("clean")

    assert not lock.exists()
