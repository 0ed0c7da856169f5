"""A process that serves sockets it is given, as the process that started it sees it."""

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Collection, Iterable, Sequence

from testbed.errors import KernelError, told
from testbed.kernel.machine import handover
from testbed.kernel.supervisor import MARK
from testbed.net.endpoints import Listener

PROGRAM = "testbed.probes.servers"
SPARE = 64  # descriptors for itself
END_S = 5.0


class ServerProcess:
    """A running process and what it serves (state: both).

    It ends when we close our end of the socket or end ourselves.
    """

    def __init__(self, *, idle_s: float, most_connections: int) -> None:
        self._ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", PROGRAM, str(idle_s), str(most_connections)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env={**os.environ, MARK: "servers"},
                process_group=0,  # the terminal's ^C is not for it
            )
        self._most_connections = most_connections
        self.serves: set[Listener] = set()

    @property
    def pid(self) -> int:
        """Its number, our own until it is stopped."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    @property
    def room(self) -> int:
        """How many sockets more it may be given; the rest of its descriptors is for clients."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        return limit - min(self._most_connections, limit // 4) - SPARE - len(self.serves)

    def open(self, listeners: Sequence[Listener], sockets: Sequence[socket.socket]) -> None:
        """Serve these, on sockets in the same order, of which it gets its own descriptors."""
        self._call(("open", listeners), [one.fileno() for one in sockets])
        self.serves.update(listeners)

    def close(self, listeners: Iterable[Listener]) -> None:
        """Serve these no more, as far as it does; connections go on."""
        leaving = [listener for listener in listeners if listener in self.serves]
        if leaving:
            self.serves.difference_update(leaving)
            self._call(("close", leaving))

    def reset(self, netns: Collection[str]) -> None:
        """End the connections in these namespaces; then no socket of it keeps them alive."""
        self._call(("reset", frozenset(netns)))

    def stop(self) -> int:
        """End it; its exit code, 0 unless something went wrong."""
        self._ours.close()
        try:
            return self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _call(self, value: object, descriptors: Sequence[int] = ()) -> None:
        """Let it do something.  Raises KernelError: it has ended; OSError: it could not."""
        try:
            handover.say(self._ours, value, descriptors)
            refused, _, _ = handover.heard(self._ours)
        except (OSError, EOFError) as gone:
            self.serves.clear()
            raise KernelError("a process that answers for pods has ended: try again") from gone
        if refused:
            raise told(OSError(refused, os.strerror(refused)), "cannot serve more ports")
