"""The pods' servers of a lab: sockets are made here and served by processes of their own.

One process serves as many sockets as it may have descriptors for; ten thousand pods take two.
They share no interpreter with whoever probes them.  Needs CAP_SYS_ADMIN over the namespaces.
"""

import errno
import itertools
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import ExitStack
from operator import attrgetter

from testbed.errors import KernelError
from testbed.kernel.machine.handover import MOST_DESCRIPTORS
from testbed.kernel.namespaces.enter import enter, returning
from testbed.kernel.namespaces.store import NamespaceStore
from testbed.net.served.endpoints import Listener
from testbed.probes.servers import process
from testbed.probes.servers.listed import Place
from testbed.probes.servers.process import ServerProcess
from testbed.probes.sockets import identity, listening_socket

NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


class Servers:
    """Who serves what, and in which namespaces (state: the processes).

    start: a new process.  running: those that are there already; none, and one is started.
    """

    def __init__(
        self,
        store: NamespaceStore,
        start: Callable[[], ServerProcess] = process.start,
        running: Iterable[ServerProcess] = (),
    ) -> None:
        self._store = store
        self._start = start
        self._processes = [*running] or [start()]  # it gets ready while the lab is planned
        self.wanted: frozenset[Listener] | None = None  # what `serve` was told last

    @property
    def listening(self) -> frozenset[Listener]:
        """What is served now."""
        return frozenset[Listener]().union(*(one.serves for one in self._alive()))

    @property
    def silent(self) -> frozenset[Listener]:
        """What is wanted and nobody serves any more."""
        return (self.wanted or frozenset()) - self.listening

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that serve."""
        return tuple(one.pid for one in self._alive())

    def open(self, listeners: Iterable[Listener]) -> None:
        """Serve these too.

        Raises KernelError that names every listener whose port could not be had (somebody else
        serves it, or its namespace is gone); the others are served.  OSError: no descriptors are
        left.
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
        if names:
            self._close(listener for listener in self.listening if listener.netns in names)
            for one in self._alive():
                one.reset(names)

    def serve(self, listeners: Iterable[Listener]) -> None:
        """Serve these and no others, in the namespaces that have their names now.

        Raises KernelError as `open` does.
        """
        self.wanted = wanted = frozenset(listeners)
        unwanted = self.listening - wanted
        names = {listener.netns for listener in wanted}
        gone = {listener.netns for listener in unwanted} - names
        self.close(gone | self._replaced(names))
        self._close(unwanted & self.listening)
        self.open(wanted)

    def begin(self, listeners: Iterable[Listener]) -> None:
        """Serve these in a new lab, in which what is served already is as it should be.

        Raises KernelError as `open` does.
        """
        self.wanted = frozenset(listeners)
        self.open(self.wanted)

    def stop(self) -> None:
        """Close everything.  Raises KernelError: a process had ended by itself."""
        codes = [one.stop() for one in self._processes]
        self._processes.clear()
        if any(codes):
            raise KernelError(f"processes that answer for pods ended with {codes}")

    def _alive(self) -> list[ServerProcess]:
        """The processes that run; those that have ended are buried, and serve nothing."""
        for ended in [one for one in self._processes if not one.alive]:
            ended.stop()
            self._processes.remove(ended)
        return self._processes

    def _replaced(self, names: Set[str]) -> set[str]:
        """Those in which sockets are of a namespace that lost the name to another one."""
        made = {at.netns: number for one in self._alive() for at, number in one.serves.items()}
        return {ns for ns in names & made.keys() if made[ns] != identity(self._store, ns)}

    def _open(self, listeners: list[Listener]) -> list[str]:
        """Serve a few, sorted by namespace; what could not be served, in words."""
        failures: list[str] = []
        with ExitStack() as undo:
            made: dict[Place, socket.socket] = {}
            with returning():
                for netns, group in itertools.groupby(listeners, key=attrgetter("netns")):
                    try:
                        namespace = self._store.open(netns)
                    except KernelError as gone:
                        failures.append(str(gone))
                        continue
                    undo.callback(os.close, namespace)
                    enter(namespace)
                    failures += _made(group, os.fstat(namespace).st_ino, made, undo)
            if made:
                self._with_room(len(made)).open([*made], [*made.values()])
        return failures

    def _with_room(self, count: int) -> ServerProcess:
        """The first process that may be given so many sockets more; at worst a new one."""
        for one in self._alive():
            if one.room >= count:
                return one
        self._processes.append(self._start())
        return self._processes[-1]

    def _close(self, listeners: Iterable[Listener]) -> None:
        leaving = frozenset(listeners)
        for one in self._alive():
            one.close(leaving)


def _made(
    listeners: Iterable[Listener],
    namespace: int,
    made: dict[Place, socket.socket],
    undo: ExitStack,
) -> Iterator[str]:
    """Make sockets in the namespace the caller is in; what could not be made, in words."""
    for listener in listeners:
        try:
            made[listener, namespace] = undo.enter_context(listening_socket(listener))
        except OSError as error:
            if error.errno in NO_DESCRIPTORS:  # nor would there be one for any other
                raise
            yield f"cannot serve {listener}: {error.strerror}"
