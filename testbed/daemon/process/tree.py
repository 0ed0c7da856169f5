"""A lab's processes: starting the holder and the daemon, entering their namespaces, ending them.

A lab has a mount, pid and network namespace of its own, and an ordinary user's a user namespace.
Everything that belongs to it lives below its first process: ending that one ends all of it.
"""

import errno
import json
import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from testbed.daemon.process.home import Home
from testbed.daemon.process.protocol import failure, last_words, line, raise_failure
from testbed.errors import KernelError, told
from testbed.kernel.machine import mounts
from testbed.kernel.machine.processes import Process
from testbed.kernel.namespaces.enter import CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, setns, unshare
from testbed.kernel.rootless import obstacles, seccomp, userns

MOST_DESCRIPTORS = 1 << 20
READY = b"ready\n"

Main = Callable[[Home, Callable[[], None]], None]
MESSAGE = 1 << 16  # bytes
HOLDER = Path(__file__).with_name("holder.py")


def start_holder(home: Home) -> socket.socket:
    """Start the lab's first process and return its lifeline: closed uncommitted, the lab ends.

    Raises MissingFeature when this user may not make namespaces, with what is in the way and what
    to do about it; KernelError for the rest.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    starter = os.fork()
    if starter == 0:
        _exit_after(lambda: _make_namespaces(home, theirs))
    theirs.close()
    word = b""
    try:
        word = ours.recv(MESSAGE)
    finally:
        if word != b"ready":
            ours.close()
        os.waitpid(starter, 0)  # it writes into the lab's directory
    if word == b"ready":
        return ours
    if word:
        said = json.loads(word)
        if "refused" in said:  # the holder knows no class of ours
            raise told(OSError(*said["refused"]))
        raise_failure(said)
    raise KernelError(f"cannot start lab '{home.lab}': its first process ended at once")


def _make_namespaces(home: Home, lifeline: socket.socket) -> None:
    """In a child: move into new namespaces, and let a child of that be their first process."""
    os.setsid()
    with _failing_to(lifeline.send):
        _detach_from_terminal(os.devnull)
        with obstacles.explained():
            userns.become_root_where_needed()
            unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID)
        recorded, record = os.pipe()
        first = os.fork()
        if first == 0:
            os.close(record)
            os.read(recorded, 1)  # end of file: our id is on record, whatever happens to us now
            _become_holder(home, lifeline)
        home.record_holder(Process.of(first))


@contextmanager
def _failing_to(say: Callable[[bytes], object]) -> Iterator[None]:
    """What goes wrong in the block is told to who has started this process, which then ends."""
    try:
        yield
    except Exception as error:
        with suppress(OSError, ValueError):  # nobody listens any more; we have closed it ourselves
            say(line(failure(error)))
        raise


def _become_holder(home: Home, lifeline: socket.socket) -> None:
    """As process 1: private mounts, a /proc of its own, an own /run/netns; then exec."""
    mounts.mount("", "/", flags=mounts.MS_REC | mounts.MS_SLAVE)
    with obstacles.explained():
        mounts.system()
    os.set_inheritable(lifeline.fileno(), True)
    argv = [sys.executable, "-I", "-S", str(HOLDER), str(home.path), str(lifeline.fileno())]
    os.execv(sys.executable, argv)


def commit(lifeline: socket.socket) -> None:
    """Let the lab last without us.  Raises KernelError when it ended meanwhile."""
    try:
        lifeline.send(b"commit")
        done = lifeline.recv(16) == b"ok"
    except OSError:
        done = False
    if not done:
        raise KernelError("the lab's first process ended")


def enter(holder: Process, *, pid: bool = True) -> None:
    """Move this process (its future children, for the pid namespace) into the lab's namespaces.

    Where there is one user only, as in an ordinary user's lab, programs seem to change theirs.
    """
    alone = userns.has_one_user()
    kinds = CLONE_NEWNET | CLONE_NEWNS | (CLONE_NEWPID if pid else 0)
    try:
        with holder.held() as handle:  # setns(2) takes a pidfd since Linux 5.8
            users = userns.entrance(holder.pid)
            setns(handle, kinds | users)
    except ProcessLookupError:
        raise KernelError("the lab's first process is gone, and the lab with it") from None
    if users or alone:
        seccomp.pretend_to_change_user()


def fork_inside() -> int:
    """What os.fork() returns, for a process that has entered a lab: its child is in there.

    Raises KernelError when the lab has ended: pid_namespaces(7).
    """
    try:
        return os.fork()
    except OSError as refused:
        if refused.errno == errno.ENOMEM:
            raise KernelError("the lab's first process is gone, and the lab with it") from refused
        raise


def start_daemon(home: Home, main: Main) -> None:
    """Run `main(home, ready)` in a process of its own below the lab's first one.

    Returns when `main` has called `ready`.  What it raises before is raised here, KernelError when
    it is ended.
    """
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        _exit_after(lambda: _make_daemon(home, theirs, main))
    theirs.close()
    os.waitpid(child, 0)
    with ours, ours.makefile("rb") as said:
        word = said.readline()
    if word.startswith(b"{"):
        raise_failure(json.loads(word))
    if word != READY:
        raise KernelError(f"the daemon of lab '{home.lab}' did not start{last_words(home)}")


def _make_daemon(home: Home, starter: socket.socket, main: Main) -> None:
    """In a child: enter the lab, and let a grandchild be the daemon."""
    os.setsid()
    with _failing_to(starter.sendall):
        _detach_from_terminal(os.devnull)
        holder = home.holder()
        if holder is None:
            raise KernelError(f"lab '{home.lab}' has no first process any more")
        enter(holder)
        inner = fork_inside()
        if inner:
            os.waitpid(inner, 0)
        elif os.fork() == 0:  # its parent ends: now it is the holder's child, and reaped by it
            _close_all_but(starter.fileno())  # not ours: the lock of `up`, its sockets
            _detach_from_terminal(str(home.log))
            with _logged():
                main(home, lambda: _say_ready(starter))


@contextmanager
def _logged() -> Iterator[None]:
    """What goes wrong in the block is in the daemon's log, its standard error, with its places."""
    try:
        yield
    except Exception:
        traceback.print_exc()
        raise


def _say_ready(starter: socket.socket) -> None:
    starter.sendall(READY)
    starter.close()


def _close_all_but(keep: int) -> None:
    os.closerange(3, keep)
    os.closerange(keep + 1, MOST_DESCRIPTORS)


def _detach_from_terminal(output: str) -> None:
    for stream, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, output, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        (2, output, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    ):
        file = os.open(path, flags, 0o600)
        os.dup2(file, stream)
        if file > 2:
            os.close(file)


def _exit_after(work: Callable[[], None]) -> None:
    """Run `work` in a forked child and never return from there into the parent's code."""
    code = 1
    try:
        work()
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)
