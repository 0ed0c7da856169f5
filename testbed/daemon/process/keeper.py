"""What outlives who has it done: a lab's programs and servers are the daemon's own children.

A worker lets the daemon start and end them, by a connection of its own: one call at a time, a verb
and what it is about, answered with whether it was done and what it gave, or what was in the way.
"""

import os
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from testbed.daemon.process.home import Home
from testbed.daemon.process.store import HolderStore
from testbed.errors import KernelError, NoDaemon, TestbedError
from testbed.kernel.machine import handover
from testbed.kernel.programs.supervisor import Supervisor, end_orphans
from testbed.lab import Lab
from testbed.net.served.programs import Program
from testbed.probes.servers import process
from testbed.probes.servers.process import ServerProcess


class Keeper:
    """In the daemon: the children (state: they), and what is done to them for a worker.

    An earlier daemon's programs have ended with it, or end now.
    lab: what this daemon is started for, if that is new.
    """

    def __init__(self, home: Home, lab: Lab | None) -> None:
        end_orphans()
        self._programs = Supervisor(HolderStore(home), home.programs)
        self._servers = [process.start()]
        self.lab = lab
        self.new = True  # no worker has taken over yet what an earlier daemon did

    def lent(self) -> list[ServerProcess]:
        """The processes that serve, each with a connection for a new worker."""
        for ended in [one for one in self._servers if not one.alive]:
            ended.stop()
            self._servers.remove(ended)
        return [one.connected() for one in self._servers]

    def obey(self, worker: socket.socket) -> None:
        """Do what one call says.  Raises EOFError or OSError: the worker has ended."""
        (verb, what), _, _ = handover.heard(worker)
        try:
            self._do(worker, verb, what)
        except (MemoryError, OSError, TestbedError) as error:
            handover.say(worker, (False, error))

    def _do(self, worker: socket.socket, verb: str, what: Any) -> None:
        given: object = None
        match verb:
            case "serve":
                self._programs.serve(what)
            case "retain":
                self._programs.retain(what)
            case "ended":
                given = self._programs.ended(what)
            case "adopted":
                self.new = False
            case "start":
                return self._start(worker)
        return handover.say(worker, (True, given))

    def _start(self, worker: socket.socket) -> None:
        """A process more that serves; the worker gets its number, a pidfd and a connection."""
        self._servers.append(process.start())
        lent = self._servers[-1].connected()
        try:
            handover.say(worker, (True, lent.pid), [lent.handle, lent.control.fileno()])
        finally:
            lent.leave()


class Kept:
    """In a worker: the same children.  Any call raises what was in the way in the daemon.

    servers: those that were there when it began.  directory: of the programs' files.
    new: the daemon is, so an earlier one's servers have ended.
    lab: the one it was started for, if that was new.
    """

    def __init__(
        self,
        daemon: socket.socket,
        servers: Sequence[ServerProcess],
        directory: Path,
        *,
        new: bool,
        lab: Lab | None,
    ) -> None:
        self._daemon = daemon
        self._directory = directory
        self.servers = servers
        self.new = new
        self.lab = lab

    def adopted(self) -> None:
        """What an earlier daemon did is taken over."""
        self._call("adopted", None)

    def start_server(self) -> ServerProcess:
        """A process more that serves; the daemon buries it."""
        pid, (handle, control) = self._call("start", None)
        return ServerProcess(pid, handle, socket.socket(fileno=control), serves={})

    def serve(self, programs: Iterable[Program]) -> None:
        """As `Supervisor.serve`."""
        self._call("serve", tuple(programs))

    def retain(self, programs: Iterable[Program]) -> None:
        """As `Supervisor.retain`."""
        self._call("retain", tuple(programs))

    def ended(self, programs: Iterable[Program]) -> tuple[Program, ...]:
        """As `Supervisor.ended`."""
        ended: tuple[Program, ...] = self._call("ended", tuple(programs))[0]
        return ended

    def directory(self, netns: str, name: str) -> Path:
        """Where a program's files are."""
        return self._directory / netns / name

    def _call(self, verb: str, what: object) -> tuple[Any, list[int]]:
        """What it gave, and the descriptors that came with it."""
        try:
            handover.say(self._daemon, (verb, what))
            (done, said), descriptors, whole = handover.heard(self._daemon)
        except (EOFError, OSError) as gone:
            raise NoDaemon("the lab's daemon has ended") from gone
        if not done:
            raise said
        if not whole:  # we have as many as our limit allows: unix(7)
            for descriptor in descriptors:
                os.close(descriptor)
            raise KernelError("no descriptor is left for a process that serves")
        return said, descriptors
