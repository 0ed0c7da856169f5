"""A lab's processes: starting the holder and the daemon, entering their namespaces, ending them.

Needs root.  A lab has a mount, pid and network namespace of its own; everything that belongs to it
lives below its first process, so that ending that one ends all of it.
"""

import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from testbed.daemon.home import Home, Process
from testbed.errors import KernelError, MissingFeature
from testbed.kernel import mounts
from testbed.kernel.namespaces import CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, setns, unshare

NAMES = "/run/netns"  # where iproute2 looks names up
MOST_DESCRIPTORS = 1 << 20
HOLDER = Path(__file__).with_name("holder.py")


def start_holder(home: Home) -> socket.socket:
    """Start the lab's first process and return its lifeline: closed uncommitted, the lab ends.

    Raises MissingFeature when this user may not make namespaces, KernelError for the rest.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    starter = os.fork()
    if starter == 0:
        _exit_after(lambda: _make_namespaces(home, theirs))
    theirs.close()
    word = ours.recv(512)
    os.waitpid(starter, 0)
    if word == b"ready":
        return ours
    ours.close()
    refusal = word.decode() or "its first process ended at once"
    if word.startswith(b"unshare"):
        raise MissingFeature(f"cannot make the lab's namespaces: {refusal}; see `testbed doctor`")
    raise KernelError(f"cannot start lab '{home.lab}': {refusal}")


def _make_namespaces(home: Home, lifeline: socket.socket) -> None:
    """In a child: move into new namespaces, and let a child of that be their first process."""
    os.setsid()
    _detach_from_terminal(os.devnull)
    try:
        unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID)
    except OSError as refused:
        lifeline.send(f"unshare: {refused.strerror}".encode())
        return
    recorded, record = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(record)
        os.read(recorded, 1)  # end of file: our id is on record, whatever happens to us now
        try:
            _become_holder(home, lifeline)
        except OSError as failed:
            lifeline.send(str(failed).encode())
            os._exit(1)
    home.record_holder(Process.of(first))
    os.close(record)


def _become_holder(home: Home, lifeline: socket.socket) -> None:
    """As process 1: private mounts, a /proc of its own, an own /run/netns; then exec."""
    mounts.mount("", "/", flags=mounts.MS_REC | mounts.MS_SLAVE)
    flags = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC
    mounts.mount("proc", "/proc", "proc", flags)
    Path(NAMES).mkdir(exist_ok=True)
    mounts.mount("tmpfs", NAMES, "tmpfs", flags, "mode=0755")
    os.set_inheritable(lifeline.fileno(), True)
    argv = [sys.executable, "-I", "-S", str(HOLDER), str(home.path), str(lifeline.fileno())]
    os.execv(sys.executable, argv)


def enter(holder: Process, *, pid: bool = True) -> None:
    """Move this process (its future children, for the pid namespace) into the lab's namespaces."""
    kinds = ["pid"] * pid + ["net", "mnt"]  # mnt last: it changes what /proc/PID is
    files = [
        os.open(f"/proc/{holder.pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds
    ]
    try:
        for file in files:
            setns(file)
    finally:
        for file in files:
            os.close(file)


def start_daemon(home: Home, main: Callable[[Home, Callable[[], None]], None]) -> None:
    """Run `main(home, ready)` in a process of its own below the lab's first one.

    Returns when `main` has called `ready`.  Raises KernelError when it ended instead.
    """
    holder = home.holder()
    if holder is None:
        raise KernelError(f"lab '{home.lab}' has no first process any more")
    ours, theirs = os.pipe()

    def daemon() -> None:
        os.setsid()
        enter(holder)
        inner = os.fork()
        if inner:
            os.waitpid(inner, 0)
        elif os.fork() == 0:  # its parent ends: now it is the holder's child, and reaped by it
            _close_all_but(theirs)  # not ours: the lock of `up`, its sockets, its terminal
            _detach_from_terminal(str(home.log))
            main(home, lambda: os.close(theirs) if os.write(theirs, b"!") else None)

    child = os.fork()
    if child == 0:
        _exit_after(daemon)
    os.close(theirs)
    os.waitpid(child, 0)
    ready = os.read(ours, 1)
    os.close(ours)
    if not ready:
        last_words = home.log.read_text().strip().rpartition("\n")[2] if home.log.exists() else ""
        raise KernelError(
            f"the daemon of lab '{home.lab}' did not start: {last_words or 'no log'}"
        )


def _close_all_but(keep: int) -> None:
    os.closerange(3, keep)
    os.closerange(keep + 1, MOST_DESCRIPTORS)


def stop(home: Home) -> None:
    """End the lab's first process and with it everything else, then remove the lab's files."""
    holder = home.holder()
    if holder is not None:
        handle = os.pidfd_open(holder.pid)
        try:
            if holder.alive():
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                _wait_for_end(handle)
        finally:
            os.close(handle)
    home.remove()


def watch(home: Home) -> int:
    """A pidfd of the lab's first process, to be closed; of use inside the lab, too."""
    holder = home.holder()
    if holder is None:
        raise KernelError(f"lab '{home.lab}' has no first process any more")
    return os.pidfd_open(holder.pid)


def hang_up(lifeline: socket.socket, handle: int) -> None:
    """End a lab that never was told `commit`, and wait until nothing of it runs.

    A pid namespace ends when all its dead are buried, so those of our children that are in it are.
    """
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries who ends now
    try:
        lifeline.close()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        _wait_for_end(handle)
    finally:
        signal.signal(signal.SIGCHLD, before)
        os.close(handle)


def _wait_for_end(handle: int) -> None:
    """Wait until the process behind a pidfd is gone: by then all of its pid namespace is."""
    import select

    poll = select.poll()
    poll.register(handle, select.POLLIN)
    if not poll.poll(10_000):
        raise KernelError("the lab's first process does not end")


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
    except Exception:
        traceback.print_exc()  # to the daemon's log, once that is its standard error
        raise
    finally:
        sys.stderr.flush()
        os._exit(code)
