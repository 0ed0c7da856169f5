"""The namespaces of a running lab, as its daemon reaches them: by name, held by the holder."""

import array
import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from testbed.daemon.process.home import Home
from testbed.errors import KernelError
from testbed.kernel.machine.mounts import NAMES
from testbed.kernel.machine.processes import descriptor_of

HOLDER = 1  # in the lab's own pid namespace
NAMES_A_MESSAGE = 200  # the kernel passes at most 253 (SCM_MAX_FD)


class HolderStore:
    """The holder's names and descriptors; the state is one connection to it, and a pidfd.

    Only for processes inside the lab's mount and pid namespaces.
    """

    def __init__(self, home: Home) -> None:
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._connection.connect(str(home.holder_socket))
        self._holder = os.pidfd_open(HOLDER)

    def names(self) -> frozenset[str]:
        """All namespaces of the lab; what a user adds with `ip netns add` is a plain file."""
        return frozenset(entry.name for entry in os.scandir(NAMES) if entry.is_symlink())

    def open(self, name: str) -> int:
        """A new descriptor of a namespace; the caller closes it.  Raises KernelError.

        Opened by its name, `-> /proc/1/fd/N`, each would leave 0.9 KiB in the kernel's caches for
        as long as the lab lasts, so that is only for where the holder may not be asked.
        """
        path = f"{NAMES}/{name}"
        with suppress(OSError, ValueError):
            return descriptor_of(self._holder, int(Path(path).readlink().name))
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise KernelError(f"there is no namespace '{name}' in this lab") from None

    def keep(self, fds: Mapping[str, int]) -> None:
        """Let the holder hold these namespaces too; the caller still closes its descriptors."""
        for names in _messages(fds):
            descriptors = array.array("i", [fds[name] for name in names])
            self._say({"keep": names}, [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])

    def drop(self, names: Iterable[str]) -> None:
        """Let namespaces go; the kernel removes them when nothing else is in them."""
        for batch in _messages(names):
            self._say({"drop": batch}, [])

    def close(self) -> None:
        """Leave the holder; it keeps everything."""
        self._connection.close()
        os.close(self._holder)

    def _say(self, message: object, ancillary: list[tuple[int, int, "array.array[int]"]]) -> None:
        self._connection.sendmsg([json.dumps(message).encode()], ancillary)
        answer = self._connection.recv(512)
        if answer != b"ok":
            said = answer.decode() or "no answer: it is gone"
            raise KernelError(f"the lab's first process, which holds the namespaces: {said}")


def _messages(names: Iterable[str]) -> Iterator[list[str]]:
    """The names in portions that fit into one message."""
    ordered = list(names)
    for start in range(0, len(ordered), NAMES_A_MESSAGE):
        yield ordered[start : start + NAMES_A_MESSAGE]
