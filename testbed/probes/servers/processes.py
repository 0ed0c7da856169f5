"""The pods' servers of a lab: sockets are made here and served by processes of their own.

One process serves as many sockets as it may have descriptors for; ten thousand pods take two.
They share no interpreter with whoever probes them.  Needs CAP_SYS_ADMIN over the namespaces.
"""

import errno
import itertools
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from operator import attrgetter

from testbed.errors import KernelError
from testbed.kernel.machine.handover import MOST_DESCRIPTORS
from testbed.kernel.namespaces import NamespaceStore, enter, returning
from testbed.net.endpoints import Listener
from testbed.probes.servers.process import ServerProcess
from testbed.probes.sockets import identity, listening_socket

IDLE_S = 300.0  # a silent connection is closed then; a person at `nc` is slower than a program
MOST_CONNECTIONS = 4096  # of one process; with one more, the longest silent one goes
NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


class Servers:
    """Who serves what, and in which namespaces (state: that, and the processes)."""

    def __init__(
        self,
        store: NamespaceStore,
        *,
        idle_s: float = IDLE_S,
        most_connections: int = MOST_CONNECTIONS,
    ) -> None:
        self._store = store
        self._start: Callable[[], ServerProcess] = lambda: ServerProcess(
            idle_s=idle_s, most_connections=most_connections
        )
        self._processes = [self._start()]  # it gets ready while the lab is planned
        self._identities: dict[str, int] = {}  # of the namespaces the sockets were made in
        self._wanted: frozenset[Listener] = frozenset()

    @property
    def listening(self) -> frozenset[Listener]:
        """What is served now."""
        return frozenset[Listener]().union(*(one.serves for one in self._alive()))

    @property
    def silent(self) -> frozenset[Listener]:
        """What `serve` was told last and nobody serves any more."""
        return self._wanted - self.listening

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that serve."""
        return tuple(one.pid for one in self._alive())

    def open(self, listeners: Iterable[Listener]) -> None:
        """Serve these too.

        Raises KernelError that names every listener whose port could not be had (somebody else
        serves it); the others are served.  OSError: no descriptors are left.
        """
        unserved = set(listeners).difference(*(one.serves for one in self._alive()))
        new = sorted(unserved, key=attrgetter("netns"))
        failures: list[str] = []
        for start in range(0, len(new), MOST_DESCRIPTORS):
            failures += self._open(new[start : start + MOST_DESCRIPTORS])
        if failures:
            raise KernelError("; ".join(failures))

    def close(self, netns: Iterable[str]) -> None:
        """Serve nothing in these namespaces and keep no socket there: it would keep them alive."""
        names = frozenset(netns)
        for name in names:
            self._identities.pop(name, None)
        if names:
            self._close(listener for listener in self.listening if listener.netns in names)
            for process in self._alive():
                process.reset(names)

    def serve(self, listeners: Iterable[Listener]) -> None:
        """Serve these and no others, in the namespaces that have their names now.

        Raises KernelError as `open` does.
        """
        self._wanted = wanted = frozenset(listeners)
        unwanted = self.listening - wanted
        names = {listener.netns for listener in wanted}
        gone = {listener.netns for listener in unwanted} - names
        self.close(gone | {name for name in names if self._replaced(name)})
        self._close(unwanted & self.listening)
        self.open(wanted)

    def stop(self) -> None:
        """Close everything.  Raises KernelError: a process had ended by itself."""
        codes = [process.stop() for process in self._processes]
        self._processes.clear()
        if any(codes):
            raise KernelError(f"processes that answer for pods ended with {codes}")

    def _alive(self) -> list[ServerProcess]:
        """The processes that run; those that have ended are buried, and serve nothing."""
        for process in [one for one in self._processes if not one.alive]:
            process.stop()
            self._processes.remove(process)
        return self._processes

    def _replaced(self, netns: str) -> bool:
        """Whether the sockets are in a namespace that lost its name to another one."""
        known = self._identities.get(netns)
        return known is not None and known != identity(self._store, netns)

    def _open(self, listeners: list[Listener]) -> list[str]:
        """Serve a few, sorted by namespace; what could not be served, in words."""
        failures: list[str] = []
        with ExitStack() as undo:
            made: dict[Listener, socket.socket] = {}
            with returning():
                for netns, group in itertools.groupby(listeners, key=attrgetter("netns")):
                    failures += self._made(netns, group, made, undo)
            if made:
                self._with_room(len(made)).open([*made], [*made.values()])
        return failures

    def _made(
        self,
        netns: str,
        listeners: Iterable[Listener],
        made: dict[Listener, socket.socket],
        undo: ExitStack,
    ) -> Iterator[str]:
        """Make the sockets of a namespace and stay in it; what could not be made, in words."""
        namespace = self._store.open(netns)
        undo.callback(os.close, namespace)
        self._identities[netns] = os.fstat(namespace).st_ino
        enter(namespace)
        for listener in listeners:
            try:
                made[listener] = undo.enter_context(listening_socket(listener))
            except OSError as error:
                if error.errno in NO_DESCRIPTORS:  # nor would there be one for any other
                    raise
                yield f"cannot serve {listener}: {error.strerror}"

    def _with_room(self, count: int) -> ServerProcess:
        """The first process that may be given so many sockets more; at worst a new one."""
        for process in self._alive():
            if process.room >= count:
                return process
        self._processes.append(self._start())
        return self._processes[-1]

    def _close(self, listeners: Iterable[Listener]) -> None:
        leaving = frozenset(listeners)
        for process in self._alive():
            process.close(leaving)
