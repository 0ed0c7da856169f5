"""Many new namespaces, made by another process while this one goes on.  Needs CAP_SYS_ADMIN.

A namespace takes the kernel half a millisecond, most of which needs no lock that wiring needs.
"""

import errno
import gc
import os
import signal
import socket
from collections.abc import Callable, Sequence

from testbed.errors import KernelError, TestbedError, told
from testbed.kernel.machine import handover
from testbed.kernel.machine.processes import end_with_parent, fork

AT_ONCE = 50  # namespaces handed over


class Maker:
    """A process that makes namespaces in the order of their names (state: it)."""

    def __init__(self, names: Sequence[str], make: Callable[[], int]) -> None:
        self._ours, theirs = socket.socketpair()
        with theirs:
            self._process = fork()
            if self._process == 0:
                _make_all(names, make, theirs)

    def some(self) -> dict[str, int]:
        """The next few with their descriptors.  Raises KernelError, MissingFeature."""
        try:
            made, descriptors, whole = handover.heard(self._ours)
        except EOFError:
            raise KernelError("the process that makes namespaces was ended") from None
        if isinstance(made, TestbedError):
            raise made
        if not whole:  # as many descriptors came as we may have: unix(7)
            for descriptor in descriptors:
                os.close(descriptor)
            full = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            raise told(full, f"cannot hold the namespace '{made[0]}'")
        return dict(zip(made, descriptors, strict=True))

    def end(self) -> None:
        """End the process, whether it has made all or not."""
        self._ours.close()
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)


def _make_all(names: Sequence[str], make: Callable[[], int], to: socket.socket) -> None:
    """In the child: make them, hand them over, end without the parent's clean-up."""
    try:
        end_with_parent()
        gc.freeze()  # to look for cycles among the parent's objects would copy all their memory
        for start in range(0, len(names), AT_ONCE):
            _make_some(names[start : start + AT_ONCE], make, to)
    finally:
        os._exit(0)


def _make_some(names: Sequence[str], make: Callable[[], int], to: socket.socket) -> None:
    descriptors: list[int] = []
    for name in names:
        try:
            descriptors.append(make())
        except (OSError, TestbedError) as refused:
            handover.say(to, told(refused, f"cannot make the namespace '{name}'"))
            raise
    handover.say(to, names, descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
