"""Where a running lab keeps its files, and whether its processes are still the ones we started."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from testbed.errors import UsageError

ROOT_DIRECTORY = Path("/run/testbed")


@dataclass(frozen=True)
class Process:
    """A process by id and start time, so that an id used again by another is noticed."""

    pid: int
    started: int  # clock ticks since boot: proc(5), /proc/PID/stat field 22

    @classmethod
    def of(cls, pid: int) -> "Process":
        """The process that has this id now.  Raises ProcessLookupError."""
        return cls(pid, _start_time(pid))

    def alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        try:
            return _start_time(self.pid) == self.started
        except ProcessLookupError:
            return False


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
    """The files of one lab, in a directory only its owner may enter."""

    lab: str

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
    def log(self) -> Path:
        """What the daemon has to say for itself."""
        return self.path / "daemon.log"

    def record_holder(self, process: Process) -> None:
        """Remember who holds the lab."""
        self.write("holder.json", json.dumps(asdict(process)))

    def holder(self) -> Process | None:
        """The holder, if it is alive."""
        try:
            process = Process(**json.loads((self.path / "holder.json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return process if process.alive() else None

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
        lock = os.open(
            directory() / f".{self.lab}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise UsageError(
                f"another `testbed up` or `down` is at work on lab '{self.lab}'; wait for it"
            ) from None
        finally:
            os.close(lock)


def homes() -> list[Home]:
    """All labs that have files, alive or not, by name."""
    try:
        entries = sorted(entry.name for entry in directory().iterdir() if entry.is_dir())
    except FileNotFoundError:
        return []
    return [Home(name) for name in entries]


def running() -> list[Home]:
    """The labs whose holder is alive."""
    return [home for home in homes() if home.holder()]
