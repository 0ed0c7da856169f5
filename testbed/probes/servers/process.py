"""A process that serves sockets it is given, as those see it who let it serve.

Who started it buries it; another process may be given a connection to it, and do the rest.
"""

import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any

from testbed.errors import KernelError, told
from testbed.kernel.machine import handover
from testbed.kernel.programs.supervisor import MARK
from testbed.net.served.endpoints import Listener
from testbed.probes.servers.listed import Place, packed

PROGRAM = "testbed.probes.servers"
IDLE_S = 300.0  # a silent connection is closed then; a person at `nc` is slower than a program
MOST_CONNECTIONS = 4096  # of one process; with one more, the longest silent one goes
SPARE = 64  # descriptors for itself
END_S = 5.0


class ServerProcess:
    """A running process and what it serves (state: the latter, once it was asked for).

    pid: its own until its owner stops it.  handle: a pidfd.  control: a connection to it; with the
    last one it ends.  most_connections: of clients.  serves: what it is known to serve.
    """

    def __init__(
        self,
        pid: int,
        handle: int,
        control: socket.socket,
        most_connections: int = MOST_CONNECTIONS,
        serves: dict[Listener, int] | None = None,
    ) -> None:
        self.pid = pid
        self.handle = handle
        self.control = control
        self.most_connections = most_connections
        self._told = serves

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return not self._ended(0.0)

    @property
    def serves(self) -> dict[Listener, int]:
        """What it serves, each with the number of the namespace its socket was made in."""
        if self._told is None:
            self._told = dict(self._call("tell", None))
        return self._told

    @property
    def room(self) -> int:
        """How many sockets more it may be given; the rest of its descriptors is for clients."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        return limit - min(self.most_connections, limit // 4) - SPARE - len(self.serves)

    def open(self, places: Sequence[Place], sockets: Sequence[socket.socket]) -> None:
        """Serve these, on sockets in the same order, of which it gets its own descriptors."""
        serves = self.serves
        answered = [not listener.held for listener, _ in places]
        self._call("open", (packed(places), answered), [one.fileno() for one in sockets])
        serves.update(places)

    def close(self, listeners: Iterable[Listener]) -> None:
        """Serve these no more, as far as it does; connections go on."""
        leaving = [listener for listener in listeners if listener in self.serves]
        for listener in leaving:
            del self.serves[listener]
        if leaving:
            self._call("close", leaving)

    def reset(self, netns: Collection[str]) -> None:
        """End the connections in these namespaces; then no socket of it keeps them alive."""
        self._call("reset", frozenset(netns))

    def connected(self) -> "ServerProcess":
        """The same process with a connection of its own, for another process of ours.

        It need not be ready for that.  From now on only that one knows what it serves.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            handover.say(self.control, ("hear", None), [theirs.fileno()])
        known, self._told = self._told, None
        return ServerProcess(self.pid, os.dup(self.handle), ours, self.most_connections, known)

    def stop(self) -> int:
        """End it and bury it; its exit code, 0 unless something went wrong."""
        self.control.close()
        if not self._ended(END_S):
            signal.pidfd_send_signal(self.handle, signal.SIGKILL)
        ended = None
        with suppress(ChildProcessError):  # it is another's to bury
            ended = os.waitid(os.P_PIDFD, self.handle, os.WEXITED)
        os.close(self.handle)
        if ended is None:
            return 0
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def leave(self) -> None:
        """Close what is ours of it; it goes on while somebody else has a connection."""
        self.control.close()
        os.close(self.handle)

    def _ended(self, timeout_s: float) -> bool:
        return bool(select.select([self.handle], [], [], timeout_s)[0])

    def _call(self, verb: str, what: object, descriptors: Sequence[int] = ()) -> Any:
        """Let it do something.  Raises KernelError: it has ended; OSError: it could not."""
        try:
            handover.say(self.control, (verb, what), descriptors)
            (refused, answer), _, _ = handover.heard(self.control)
        except (OSError, EOFError) as gone:
            self._told = {}
            raise KernelError("a process that answers for pods has ended: try again") from gone
        if refused:
            raise told(OSError(refused, os.strerror(refused)), "cannot serve more ports")
        return answer


def start(*, idle_s: float = IDLE_S, most_connections: int = MOST_CONNECTIONS) -> ServerProcess:
    """A new process, which serves nothing yet; the caller buries it (`stop`)."""
    ours, theirs = socket.socketpair()
    argv = [sys.executable, "-P", "-m", PROGRAM, str(idle_s), str(most_connections)]
    with theirs:
        pid = os.posix_spawn(
            argv[0],
            argv,
            {**os.environ, MARK: "servers"},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            ],
            setpgroup=0,  # the terminal's ^C is not for it
        )
    return ServerProcess(pid, os.pidfd_open(pid), ours, most_connections, {})
