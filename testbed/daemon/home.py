"""Where a running lab keeps its files, and whether its processes are still the ones we started."""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from testbed.errors import UsageError

ROOT_DIRECTORY = Path("/run/testbed")
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123: a DNS label


@dataclass(frozen=True)
class Process:
    """A process by id and start time, so that an id used again by another is noticed."""

    pid: int
    started: int  # clock ticks since boot: proc(5), /proc/PID/stat field 22
    pids: int  # the pid namespace, by its number, in which the id counts

    @classmethod
    def of(cls, pid: int) -> "Process":
        """The process that has this id now.  Raises ProcessLookupError."""
        return cls(pid, _start_time(pid), _pid_namespace())

    def alive(self) -> bool:
        """Whether this very process still runs (a zombie does not).

        Raises UsageError in another pid namespace, where nobody can tell: inside a lab.
        """
        if self.pids != _pid_namespace():
            raise UsageError("inside a lab one cannot see other labs' processes: leave it first")
        try:
            return _start_time(self.pid) == self.started
        except ProcessLookupError:
            return False


def _pid_namespace() -> int:
    """The number of the pid namespace that /proc shows."""
    return Path("/proc/self/ns/pid").stat().st_ino


def _start_time(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(pid) from None
    fields = stat[stat.rindex(")") + 2 :].split()
    if fields[0] in "ZX":
        raise ProcessLookupError(pid)
    return int(fields[19])


def directory() -> Path:
    """The directory of all labs of this user: root's, or one under XDG_RUNTIME_DIR."""
    if os.geteuid() == 0:
        return ROOT_DIRECTORY
    return Path(os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/testbed-{os.geteuid()}") / "testbed"


@dataclass(frozen=True)
class Home:
    """The files of one lab, in a directory only its owner may enter.

    Raises UsageError for a name that no lab can have: `..` must never become a path.
    """

    lab: str

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.lab):
            raise UsageError(f"'{self.lab}' is no name of a lab: lower case letters, digits and -")

    @property
    def path(self) -> Path:
        """The lab's own directory."""
        return directory() / self.lab

    @property
    def socket(self) -> Path:
        """Where the daemon listens."""
        return self.path / "daemon.sock"

    @property
    def holder_socket(self) -> Path:
        """Where the holder takes descriptors."""
        return self.path / "holder.sock"

    @property
    def applied(self) -> Path:
        """The Lab and its Allocations as they were last applied."""
        return self.path / "applied.json"

    @property
    def programs(self) -> Path:
        """What the lab's real programs have: their files, logs and sockets, `NETNS/NAME/`."""
        return self.path / "programs"

    @property
    def resolv(self) -> Path:
        """The resolv.conf of each namespace."""
        return self.path / "resolv"

    @property
    def log(self) -> Path:
        """What the daemon has to say for itself."""
        return self.path / "daemon.log"

    def record_holder(self, process: Process) -> None:
        """Remember who holds the lab."""
        self.write("holder.json", json.dumps(asdict(process)))

    def recorded_holder(self) -> Process | None:
        """Who held the lab when it was started, alive or not."""
        try:
            return Process(**json.loads((self.path / "holder.json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def holder(self) -> Process | None:
        """The holder, if it is alive."""
        process = self.recorded_holder()
        return process if process and process.alive() else None

    def write(self, name: str, text: str) -> None:
        """Write a file of the lab so that a reader sees the old text or the new one, whole."""
        new = self.path / f".{name}.new"
        new.write_text(text)
        new.replace(self.path / name)

    def make(self) -> None:
        """Make the lab's empty directory, sweeping what a dead lab of that name left."""
        self.remove()
        self.path.mkdir(mode=0o700, parents=True)

    def remove(self) -> None:
        """Remove the lab's files; none is fine."""
        shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other `up` and `down` of this lab out.  Raises UsageError when one is at work."""
        directory().mkdir(mode=0o755, parents=True, exist_ok=True)
        file = directory() / f".{self.lab}.lock"
        lock = self._lock(file)
        try:
            yield
        finally:
            if not self.path.exists():
                file.unlink(missing_ok=True)
            os.close(lock)

    def _lock(self, file: Path) -> int:
        """A descriptor that locks the file of this name, which may have been removed and made."""
        while True:
            lock = os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                raise UsageError(
                    f"another `testbed up` or `down` is at work on lab '{self.lab}'; wait for it"
                ) from None
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock), file.stat()):
                    return lock
            os.close(lock)


def homes() -> list[Home]:
    """All labs that have files, alive or not, by name."""
    try:
        entries = sorted(entry.name for entry in directory().iterdir() if entry.is_dir())
    except FileNotFoundError:
        return []
    return [Home(name) for name in entries if NAME.fullmatch(name)]


def running() -> list[Home]:
    """The labs whose holder is alive."""
    return [home for home in homes() if home.holder()]
