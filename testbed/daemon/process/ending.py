"""How a lab ends: its first process is killed, and the kernel takes the rest.  Needs root."""

import os
import select
import signal
import socket
import time
from contextlib import suppress

from testbed.daemon.process.home import Home
from testbed.errors import KernelError
from testbed.kernel.machine.processes import others_alive, parents_outside, pid_namespace

BURIAL_S = 0.5  # the children of a lab's `exec` are buried at once, unless it is stopped
END_S = 10.0


def stop(home: Home) -> None:
    """End the lab's first process and with it everything else, then remove the lab's files."""
    holder = home.recorded_holder()
    if holder is not None:
        with suppress(ProcessLookupError), holder.held() as handle:
            namespace = pid_namespace(holder.pid)
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            _wait_until_buried(handle, holder.pid, namespace)
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
        if not _ended(handle, END_S):
            raise KernelError("the lab's first process does not end")
    finally:
        signal.signal(signal.SIGCHLD, before)
        os.close(handle)


def _wait_until_buried(handle: int, first: int, namespace: int) -> None:
    """Wait until a killed first process is gone: by then all of its pid namespace is.

    Its dead must be buried before.  A parent outside, such as an `exec` that ^Z has stopped, is
    woken to do so; where nobody does (an orphan's new parent is the machine's first process, which
    in a container may be anything), it is enough that only the dead are left.
    Raises KernelError.
    """
    if _ended(handle, BURIAL_S):
        return
    for parent in parents_outside(namespace):
        with suppress(ProcessLookupError), parent.held() as waker:
            signal.pidfd_send_signal(waker, signal.SIGCONT)
    deadline = time.monotonic() + END_S
    while not _ended(handle, BURIAL_S):
        if not others_alive(namespace, first):
            return
        if time.monotonic() > deadline:
            raise KernelError("the lab's first process was killed and does not end")


def _ended(handle: int, timeout_s: float) -> bool:
    """Whether the process of a pidfd is gone, after so long at most."""
    return bool(select.select([handle], [], [], timeout_s)[0])
