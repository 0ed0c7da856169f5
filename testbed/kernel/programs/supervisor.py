"""Real programs that serve inside a lab's namespaces: started, made ready, ended.

They end with the thread that started them, whatever ends it: PR_SET_PDEATHSIG.  Needs
CAP_SYS_ADMIN.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from testbed.errors import KernelError
from testbed.kernel.machine.processes import Process
from testbed.kernel.namespaces.enter import entered
from testbed.kernel.namespaces.store import NamespaceStore
from testbed.kernel.programs import unix
from testbed.kernel.programs.certificates import self_signed
from testbed.kernel.programs.run import environment, located
from testbed.net.served.programs import DIRECTORY, Program, Transport

READY_S = 10.0  # haproxy takes 0.1 s, dnsmasq 0.05
END_S = 2.0  # after SIGTERM; then SIGKILL
LOOK_S = 0.002  # between two looks at a program that is not ready yet
LAST_WORDS = 3  # lines
LOG = "log"

# Not preexec_fn: Python would fork, and other threads of ours hold locks.
ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")

MARK = "TESTBED_PROGRAM"  # in the environment of each program, and of what it starts

STATES: Mapping[Transport, str] = {"tcp": "0A", "udp": "07"}  # TCP_LISTEN, TCP_CLOSE: tcp_states.h


@dataclass(frozen=True)
class _Running:
    """A process of ours, not reaped: its id is its own until we say so."""

    program: Program
    namespace: int  # the inode: another namespace of the same name has another one
    process: subprocess.Popen[bytes]
    handle: int  # a pidfd
    directory: Path
    log_start: int

    def ended(self, timeout_s: float = 0.0) -> bool:
        """Whether it has ended, or ends in this time."""
        ends = select.poll()
        ends.register(self.handle, select.POLLIN)
        return bool(ends.poll(max(0.0, timeout_s) * 1000))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to what it has started."""
        os.killpg(self.process.pid, number)

    def ready(self) -> bool:
        """Whether it runs, to end with us, with all that it is ready with."""
        pid, program = self.process.pid, self.program
        return (
            _is_past(pid, ENDS_WITH_US[0])
            and all(port in _open_ports(pid, transport) for transport, port in program.listens)
            and all(unix.listens(self.directory / name, READY_S) for name in program.sockets)
        )

    def last_words(self) -> str:
        """The last lines it printed since it was started."""
        with (self.directory / LOG).open("rb") as log:
            log.seek(self.log_start)
            lines = log.read().decode(errors="replace").strip().splitlines()
        return "; ".join(lines[-LAST_WORDS:]) or "it said nothing"


class Supervisor:
    """The programs of a lab, each in its namespace (state: their processes).

    They end when the thread ends that called `serve`: call it in one that stays.
    directory: for the programs' files and logs, `NETNS/NAME/log`.
    """

    def __init__(self, store: NamespaceStore, directory: Path) -> None:
        self._store = store
        self._directory = directory
        self._running: dict[tuple[str, str], _Running] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def pids(self) -> dict[tuple[str, str], int]:
        """The process of each program that has not ended, by namespace and name."""
        return {key: one.process.pid for key, one in self._running.items() if not one.ended()}

    def directory(self, netns: str, name: str) -> Path:
        """Where a program's files are."""
        return self._directory / netns / name

    def serve(self, programs: Iterable[Program]) -> None:
        """Run these and no others, each as it is described and in the namespace of now.

        Returns when all are ready.  Raises MissingFeature (one is not installed), KernelError (one
        ended, or is not ready in time; with its last words).
        """
        programs = tuple(programs)
        self.retain(programs)
        new = [program for program in programs if program.key not in self._running]
        for program in new:
            located(program.argv[0])
        for program in new:
            self._running[program.key] = self._start(program)
        deadline = time.monotonic() + READY_S
        try:
            for program in new:
                _wait_until_ready(self._running[program.key], deadline)
        except KernelError:  # the next `serve` shall try again
            self._end([self._running.pop(program.key) for program in new])
            raise

    def ended(self, programs: Iterable[Program]) -> tuple[Program, ...]:
        """Those of these that do not run, or not where or as they should."""
        return tuple(one for one in programs if not self._runs(one))

    def retain(self, programs: Iterable[Program]) -> None:
        """End every program that is not one of these; a namespace can go when its last one has."""
        wanted = {program.key: program for program in programs}
        leaving = [
            key for key in self._running if key not in wanted or not self._runs(wanted[key])
        ]
        self._end([self._running.pop(key) for key in leaving])

    def stop(self) -> None:
        """End them all."""
        self.retain(())

    def _runs(self, wanted: Program) -> bool:
        """Whether a program runs as it is described, in the namespace that has the name now."""
        one = self._running.get(wanted.key)
        if one is None or one.program != wanted or one.ended():
            return False
        if wanted.netns not in self._store.names():
            return False
        namespace = self._store.open(wanted.netns)
        try:
            return os.fstat(namespace).st_ino == one.namespace
        finally:
            os.close(namespace)

    def _start(self, program: Program) -> _Running:
        directory = self.directory(*program.key)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in program.sockets:  # what one before it left says nothing of this one
            (directory / name).unlink(missing_ok=True)
        for name, text in program.files:
            (directory / name).write_text(text, encoding="utf-8")
        for name, owner in program.certificates:
            self_signed(directory / name, owner)
        argv = [word.replace(DIRECTORY, str(directory)) for word in program.argv]
        namespace = self._store.open(program.netns)
        try:
            with (directory / LOG).open("ab") as log, entered(namespace):
                log_start = log.tell()
                process = subprocess.Popen(
                    [*ENDS_WITH_US, located(argv[0]), *argv[1:]],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=directory,
                    env={**environment(), MARK: program.name},
                    process_group=0,  # the terminal's ^C is not for it
                )
                return _Running(
                    program,
                    os.fstat(namespace).st_ino,
                    process,
                    os.pidfd_open(process.pid),
                    directory,
                    log_start,
                )
        finally:
            os.close(namespace)

    def _end(self, leaving: list[_Running]) -> None:
        for one in leaving:
            one.signal(signal.SIGTERM)
        deadline = time.monotonic() + END_S
        for one in leaving:
            one.ended(deadline - time.monotonic())
            one.signal(signal.SIGKILL)  # also what it left behind of its own
            one.process.wait()
            os.close(one.handle)


def end_orphans() -> None:
    """End the programs of a supervisor that was killed before `setpriv` had bound them to it.

    Only for a process in a lab's own pid namespace: it looks at every process there is.
    """
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and _is_marked(entry):
            with suppress(ProcessLookupError), Process.of(int(entry.name)).held() as handle:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                select.select([handle], [], [], END_S)


def _is_marked(process: Path) -> bool:
    try:
        variables = (process / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended
        return False
    return any(variable.startswith(f"{MARK}=".encode()) for variable in variables)


def _wait_until_ready(one: _Running, deadline: float) -> None:
    what = f"{one.program.name} in {one.program.netns}"
    while not one.ready():
        if one.ended(LOOK_S):
            raise KernelError(f"{what} ended at once: {one.last_words()}")
        if time.monotonic() > deadline:
            raise KernelError(f"{what} is not ready after {READY_S:g} s: {one.last_words()}")


def _is_past(pid: int, starter: str) -> bool:
    """Whether a process is past the program that starts it."""
    try:
        return Path(f"/proc/{pid}/exe").readlink().name != starter
    except OSError:  # it has ended
        return False


def _open_ports(pid: int, transport: Transport) -> frozenset[int]:
    """The ports that listen in the namespace of a process.

    sl  local_address rem_address   st
    0: 0200000A:0035 00000000:0000 07
    """
    try:
        lines = Path(f"/proc/{pid}/net/{transport}").read_text(encoding="ascii").splitlines()
    except OSError:  # it has ended
        return frozenset()
    sockets = (line.split() for line in lines[1:])
    return frozenset(
        int(local.rpartition(":")[2], 16)
        for _, local, _, state, *_ in sockets
        if state == STATES[transport]
    )
