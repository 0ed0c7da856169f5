"""Processes that are known for sure: an id alone is soon another's.  Needs root for others'."""

import ctypes
import json
import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from operator import index
from pathlib import Path

from testbed.errors import UsageError

PROC = Path("/proc")
PR_SET_PDEATHSIG = 1  # linux/prctl.h
PF_EXITING = 4  # linux/sched.h: in do_exit(), from which nothing comes back
PIDFD_GETFD = 438  # asm-generic/unistd.h: the same number on every machine

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Process:
    """A process by id and start time, so that an id used again by another is noticed."""

    pid: int
    started: int  # clock ticks since boot: proc(5), /proc/PID/stat field 22
    pids: int  # the pid namespace, by its number, in which the id counts

    @classmethod
    def of(cls, pid: int) -> "Process":
        """The process that has this id now.  Raises ProcessLookupError."""
        return cls(pid, _start_time(pid), pid_namespace())

    def foreign(self) -> bool:
        """Whether its id counts in another pid namespace than ours."""
        return self.pids != pid_namespace()

    def alive(self) -> bool:
        """Whether this very process still runs; one that is ending does not, nor does a zombie.

        Raises UsageError in another pid namespace, where nobody can tell: inside a lab.
        """
        if self.foreign():
            raise UsageError(
                "inside a lab or another container one cannot see this lab's processes: leave it"
            )
        try:
            return _start_time(self.pid) == self.started
        except ProcessLookupError:
            return False

    @contextmanager
    def held(self) -> Iterator[int]:
        """A pidfd of this very process: what is done through it reaches no other.

        Raises ProcessLookupError when it is gone.
        """
        handle = os.pidfd_open(self.pid)
        try:
            if not self.alive():
                raise ProcessLookupError(self.pid)
            yield handle
        finally:
            os.close(handle)


def descriptor_of(process: int, number: int) -> int:
    """A copy of a descriptor that another process, by its pidfd, has under a number.

    Raises OSError: none has it, or the caller may not trace that process, see pidfd_getfd(2).
    """
    copy = int(_libc.syscall(PIDFD_GETFD, process, number, 0))
    if copy < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return copy


def fork() -> int:
    """What os.fork() returns; for a child that does one thing and ends, without our threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: a fork beside other threads
        return os.fork()


def end_with_parent() -> None:
    """Let this process, and the program it becomes, be killed when the thread that forked it ends.

    A parent that has ended already is not noticed: see to that before, or afterwards.
    """
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def record(process: Process) -> str:
    """A process as `recorded` reads it."""
    return json.dumps(asdict(process))


def recorded(file: Path) -> Process | None:
    """The process a file tells of; None where it is not there, or not written whole."""
    try:
        found = Process(**json.loads(file.read_text()))
        return Process(*map(index, (found.pid, found.started, found.pids)))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def pid_namespace(pid: int | str = "self") -> int:
    """The number of a process' pid namespace.  Raises FileNotFoundError."""
    return (PROC / str(pid) / "ns/pid").stat().st_ino


def parents_outside(namespace: int) -> Iterator[Process]:
    """The processes outside a pid namespace whose children are in it: `testbed exec` is one.

    Its first process cannot end before they have buried those.
    """
    for entry in PROC.iterdir():
        if not entry.name.isdecimal():
            continue
        with suppress(OSError):  # it has ended, or is not ours to look at
            children = (entry / "ns/pid_for_children").stat().st_ino
            if children == namespace != pid_namespace(entry.name):
                yield Process.of(int(entry.name))


def others_alive(namespace: int, first: int) -> bool:
    """Whether anything but the first process runs in a pid namespace; the dead do not count."""
    for entry in PROC.iterdir():
        if entry.name.isdecimal() and int(entry.name) != first:
            with suppress(OSError):
                if pid_namespace(entry.name) == namespace and _start_time(int(entry.name)):
                    return True
    return False


def stopped(pid: int) -> bool:
    """Whether a signal such as SIGSTOP holds a process.  Raises ProcessLookupError."""
    return _stat(pid)[0] == "T"


def parent(pid: int) -> int:
    """The parent of a process; 0 where it is outside our pid namespace.

    Raises ProcessLookupError.
    """
    return int(_stat(pid)[1])


def forks(pid: int) -> Iterator[int]:
    """The children of a process that are still the program it is."""
    program = _words(pid)
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            with suppress(ProcessLookupError):
                if parent(int(entry.name)) == pid and _words(int(entry.name)) == program:
                    yield int(entry.name)


def _words(pid: int) -> bytes:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(pid) from None


def _stat(pid: int) -> list[str]:
    """The fields of proc(5), /proc/PID/stat, from the third on.  Raises ProcessLookupError."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(pid) from None
    return stat[stat.rindex(")") + 2 :].split()


def _start_time(pid: int) -> int:
    fields = _stat(pid)
    if fields[0] in "ZX" or int(fields[6]) & PF_EXITING:
        raise ProcessLookupError(pid)
    return int(fields[19])
