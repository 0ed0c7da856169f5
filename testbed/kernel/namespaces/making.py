"""Many new namespaces, made by another process while this one goes on.  Needs CAP_SYS_ADMIN.

A namespace takes the kernel half a millisecond, most of which needs no lock that wiring needs.
"""

import errno
import gc
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from testbed.errors import KernelError, TestbedError, told
from testbed.kernel.machine import handover
from testbed.kernel.machine.processes import end_with_parent, fork
from testbed.kernel.namespaces.enter import unshared

MANY = 64  # new namespaces that are worth a process that makes them
FEW = 10  # namespaces handed over at once: who wires them waits for no more
# The socket holds some 140 messages (net.core.wmem_default), so that thousands are made before
# anybody takes one.
MOST_MESSAGES = 100


class Maker:
    """A process that makes so many namespaces (state: it, and what has come of them).

    They are for this process or a child of it; the process ends with the block.
    """

    def __init__(self, count: int, make: Callable[[], int]) -> None:
        self._left = count
        self._ours, theirs = socket.socketpair()
        with theirs:
            self._process = fork()
            if self._process == 0:
                _make_all(count, make, theirs)

    def some(self) -> list[int]:
        """The descriptors of the next few; none when all have been given.

        Raises KernelError, MissingFeature.
        """
        if not self._left:
            return []
        try:
            refused, descriptors, whole = handover.heard(self._ours)
        except EOFError:
            raise KernelError("the process that makes namespaces was ended") from None
        if refused:
            raise refused
        if not whole:  # as many descriptors came as we may have: unix(7)
            for descriptor in descriptors:
                os.close(descriptor)
            full = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            raise told(full, f"cannot hold {self._left} more namespaces")
        self._left -= len(descriptors)
        return descriptors

    def end(self) -> None:
        """End the process, whether it has made all or not."""
        self._ours.close()
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)


@contextmanager
def making(count: int) -> Iterator[Maker | None]:
    """So many namespaces, made meanwhile by a process that ends with the block.

    None where they are so few that a process takes longer.
    """
    if count < MANY:
        yield None
        return
    maker = Maker(count, unshared)
    try:
        yield maker
    finally:
        maker.end()


def _make_all(count: int, make: Callable[[], int], to: socket.socket) -> None:
    """In the child: make them, hand them over, end without the parent's clean-up."""
    try:
        end_with_parent()
        gc.freeze()  # to look for cycles among the parent's objects would copy all their memory
        some = min(max(FEW, -(-count // MOST_MESSAGES)), handover.MOST_DESCRIPTORS)
        for first in range(1, count + 1, some):
            _make_some(range(first, count + 1)[:some], count, make, to)
    finally:
        os._exit(0)


def _make_some(
    numbers: Sequence[int], count: int, make: Callable[[], int], to: socket.socket
) -> None:
    descriptors: list[int] = []
    for number in numbers:
        try:
            descriptors.append(make())
        except (OSError, TestbedError) as refused:
            handover.say(to, told(refused, f"cannot make namespace {number} of {count}"))
            raise
    handover.say(to, None, descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
