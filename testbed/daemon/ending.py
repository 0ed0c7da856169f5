"""How a lab ends: its first process is killed, and the kernel takes the rest.  Needs root."""

import os
import select
import signal
import socket
from contextlib import suppress

from testbed.daemon.home import Home
from testbed.errors import KernelError
from testbed.kernel.processes import command, parents_outside, pid_namespace

BURIAL_S = 0.5  # the children of a lab's `exec` are buried at once, unless it is stopped
END_S = 10.0


def stop(home: Home) -> None:
    """End the lab's first process and with it everything else, then remove the lab's files."""
    holder = home.recorded_holder()
    if holder is not None:
        with suppress(ProcessLookupError), holder.held() as handle:
            inside = pid_namespace(holder.pid)
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            _wait_for_end(handle, inside)
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
        _wait_for_end(handle, 0)
    finally:
        signal.signal(signal.SIGCHLD, before)
        os.close(handle)


def _wait_for_end(handle: int, inside: int) -> None:
    """Wait until the process behind a pidfd is gone: by then all of its pid namespace is.

    Its dead must be buried before: a parent outside, such as an `exec` that ^Z has stopped, is
    woken to do so.  Raises KernelError naming those that do not.
    """
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    if poll.poll(BURIAL_S * 1000):
        return
    for parent in parents_outside(inside):
        with suppress(ProcessLookupError), parent.held() as waker:
            signal.pidfd_send_signal(waker, signal.SIGCONT)
    if not poll.poll(END_S * 1000):
        names = [f"{one.pid} ({command(one.pid)})" for one in parents_outside(inside)]
        held = f"; end {', '.join(names)}, whose children are in it" if names else ""
        raise KernelError(f"the lab's first process does not end{held}")
