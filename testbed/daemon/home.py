"""Where a running lab keeps its files, and whether its processes are still the ones we started."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.daemon.lock import locked
from testbed.errors import UsageError
from testbed.kernel.processes import Process, record, recorded

ROOT_DIRECTORY = Path("/run/testbed")
HOLDER_RECORD, OWNER_RECORD = "holder.json", "owner.json"  # in a lab's directory
LOCK = ".lock"  # of a lab: `.LAB.lock`, beside its directory
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123: a DNS label


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
        if not _is_name(self.lab):
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
        self.write(HOLDER_RECORD, record(process))

    def recorded_holder(self) -> Process | None:
        """Who held the lab when it was started, alive or not."""
        return recorded(self.path / HOLDER_RECORD)

    def owner(self) -> Process | None:
        """The process whose end is the lab's: the `up` that makes it, a script; None: nobody's.

        The holder forgets it when it is told `commit`.
        """
        return recorded(self.path / OWNER_RECORD)

    def holder(self) -> Process | None:
        """The holder, if it is alive and not about to follow its dead owner."""
        process, owner = self.recorded_holder(), self.owner()
        if process is None or (owner and not owner.alive()):
            return None
        return process if process.alive() else None

    def write(self, name: str, text: str) -> None:
        """Write a file of the lab so that a reader sees the old text or the new one, whole.

        Raises OSError: the file system is full; then the old one is as it was.
        """
        new = self.path / f".{name}.new"
        try:
            new.write_text(text)
            new.replace(self.path / name)
        except OSError as refused:
            new.unlink(missing_ok=True)
            refused.filename = refused.filename or str(self.path / name)
            raise

    def make(self) -> None:
        """Make the lab's directory, sweeping what a dead lab of that name left; we own it."""
        self.remove()
        self.path.mkdir(mode=0o700, parents=True)
        self.write(OWNER_RECORD, record(Process.of(os.getpid())))

    def remove(self) -> None:
        """Remove the lab's files; none is fine."""
        shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other `up` and `down` of this lab out.  Raises UsageError when one is at work."""
        directory().mkdir(mode=0o755, parents=True, exist_ok=True)
        with locked(directory() / f".{self.lab}{LOCK}", self.lab, self.path):
            yield


def homes() -> list[Home]:
    """All labs that have files, alive or not, by name."""
    return [Home(entry.name) for entry in _entries() if entry.is_dir() and _is_name(entry.name)]


def locks() -> list[Home]:
    """All labs that have a lock: it may be all that a killed `up` or `down` has left."""
    names = [
        entry.name.removeprefix(".").removesuffix(LOCK)
        for entry in _entries()
        if entry.name.startswith(".") and entry.name.endswith(LOCK)
    ]
    return [Home(name) for name in names if _is_name(name)]


def _is_name(text: str) -> bool:
    return NAME.fullmatch(text) is not None


def _entries() -> list[Path]:
    try:
        return sorted(directory().iterdir())
    except FileNotFoundError:
        return []


def running() -> list[Home]:
    """The labs whose holder is alive."""
    return [home for home in homes() if home.holder()]
