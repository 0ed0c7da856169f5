"""Where a running lab keeps its files, and whether its processes are still the ones we started."""

import os
import re
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from testbed.daemon.process.lock import locked
from testbed.errors import KernelError, UsageError
from testbed.kernel.machine import whole
from testbed.kernel.machine.mounts import LABS
from testbed.kernel.machine.processes import Process, record, recorded
from testbed.kernel.programs import resolv

INSIDE = "TESTBED_INSIDE"  # in the environment: the directory of the lab a process is in
ROOT_DIRECTORY = LABS
HOLDER_RECORD, OWNER_RECORD = "holder.json", "owner.json"  # in a lab's directory
RESERVE, RESERVE_BYTES = "reserve", 64 << 10  # that much is left where all is full
LOGS = "/var/log"
LOCK = ".lock"  # of a lab: `.LAB.lock`, beside its directory
LONGEST_SOCKET = 107  # bytes: sun_path, unix(7)
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123: a DNS label


def directory() -> Path:
    """The directory of all labs of this user; in a lab, the one that lab is in.

    Root's is /run/testbed.  An ordinary user's is in XDG_RUNTIME_DIR or /run/user/UID, whichever
    is the user's own: after `su` the variable leads to somebody else's.  Else it is in /tmp.
    """
    if lab := os.environ.get(INSIDE):
        return Path(lab).parent
    user = os.geteuid()
    if user == 0 and os.access(ROOT_DIRECTORY.parent, os.W_OK):
        return ROOT_DIRECTORY
    for place in (os.environ.get("XDG_RUNTIME_DIR"), f"/run/user/{user}"):
        if place and _is_own(Path(place), user):
            return Path(place, "testbed")
    return Path(f"/tmp/testbed-{user}")


def _is_own(place: Path, user: int) -> bool:
    """Whether a directory is this user's, and nobody else can put anything there."""
    try:
        seen = place.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(seen.st_mode) and seen.st_uid == user and not seen.st_mode & 0o022


@dataclass(frozen=True)
class Home:
    """The files of one lab, in a directory only its owner may enter.

    Raises UsageError for a name that no lab can have: `..` must never become a path.
    """

    lab: str
    base: Path = field(default_factory=directory)

    def __post_init__(self) -> None:
        if not _is_name(self.lab):
            raise UsageError(f"'{self.lab}' is no name of a lab: lower case letters, digits and -")

    @classmethod
    def inside(cls) -> "Home | None":
        """The lab whose namespaces this process is in."""
        path = os.environ.get(INSIDE)
        return cls(Path(path).name, Path(path).parent) if path else None

    @property
    def path(self) -> Path:
        """The lab's own directory."""
        return self.base / self.lab

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
    def host_local(self) -> Path:
        """What host-local has on the disk of each node of a kops cluster."""
        return self.path / "host-local"

    @property
    def aws_node(self) -> Path:
        """What aws-node has on the disk of each node of an EKS cluster."""
        return self.path / "aws-node"

    @property
    def logs(self) -> Path:
        """The logs of EKS nodes, `NODE/var/log/aws-routed-eni/`."""
        return self.path / "logs"

    def shown(self, netns: str) -> dict[str, Path]:
        """What programs in a namespace find in the place of the machine's own files."""
        return {**resolv.shown(self.resolv, netns), LOGS: self.logs / netns / LOGS[1:]}

    @property
    def log(self) -> Path:
        """What the daemon has to say for itself."""
        return self.path / "daemon.log"

    @contextmanager
    def reading_applied(self) -> Iterator[bytes]:
        """What was applied last, for the block to take apart.

        Raises UsageError: nothing yet.  KernelError: the block finds something else than
        `applied.record` has written, such as another version's.
        """
        try:
            yield self.applied.read_bytes()
        except FileNotFoundError as error:
            raise UsageError(f"lab '{self.lab}' is not up yet") from error
        except (ValueError, LookupError, TypeError) as error:
            raise KernelError(
                f"{self.applied} cannot be read any more: "
                f"`testbed down {self.lab}`, then `testbed up FILE`"
            ) from error

    def record_holder(self, process: Process) -> None:
        """Remember who holds the lab."""
        self.write(HOLDER_RECORD, record(process))

    def recorded_holder(self) -> Process | None:
        """Who held the lab when it was started, alive or not.

        None after a restart of the container it was started in: files in its /run are kept, but
        all processes of that pid namespace are gone, and nobody listens.
        """
        process = recorded(self.path / HOLDER_RECORD)
        return None if process and process.foreign() and not self._is_held() else process

    def _is_held(self) -> bool:
        """Whether a first process listens; which is seen from every pid namespace."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            return connection.connect_ex(str(self.holder_socket)) == 0

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
        whole.write(self.path / name, text)

    def make(self) -> None:
        """Make the lab's directory, sweeping what a dead lab of that name left; we own it.

        Raises UsageError where the names of its sockets would be too long for the kernel.
        """
        if len(os.fsencode(self.holder_socket)) > LONGEST_SOCKET:
            raise UsageError(f"{self.holder_socket}: too long for a socket's name; use --name")
        self.remove()
        self.path.mkdir(mode=0o700, parents=True)
        self.write(OWNER_RECORD, record(Process.of(os.getpid())))
        self._reserve()

    @contextmanager
    def reserve_given(self) -> Iterator[None]:
        """For the block a full file system has room again, for what was there before a change."""
        (self.path / RESERVE).unlink(missing_ok=True)
        try:
            yield
        finally:
            with suppress(OSError):
                self._reserve()

    def _reserve(self) -> None:
        (self.path / RESERVE).write_bytes(bytes(RESERVE_BYTES))

    def remove(self) -> None:
        """Remove the lab's files; none is fine."""
        shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other `up` and `down` of this lab out.  Raises UsageError when one is at work."""
        self.base.mkdir(mode=0o755, parents=True, exist_ok=True)
        _refuse_another_users(self.base)
        with locked(self.base / f".{self.lab}{LOCK}", self.lab, self.path):
            yield


def _refuse_another_users(base: Path) -> None:
    """Raise UsageError for a directory of labs in which somebody else may put what they like."""
    if base.is_symlink() or (base.exists() and not _is_own(base, os.geteuid())):
        raise UsageError(f"{base} is not this user's alone: set XDG_RUNTIME_DIR")


def homes(base: Path | None = None) -> list[Home]:
    """All labs that have files, alive or not, by name; this user's, or those in a directory.

    Raises UsageError where this user's own directory is somebody else's.
    """
    if base is None:
        base = directory()
        _refuse_another_users(base)
    found = [entry.name for entry in _entries(base) if entry.is_dir()]
    return [Home(name, base) for name in found if _is_name(name)]


def locks() -> list[Home]:
    """All labs that have a lock: it may be all that a killed `up` or `down` has left."""
    names = [
        entry.name.removeprefix(".").removesuffix(LOCK)
        for entry in _entries(directory())
        if entry.name.startswith(".") and entry.name.endswith(LOCK)
    ]
    return [Home(name) for name in names if _is_name(name)]


def _is_name(text: str) -> bool:
    return NAME.fullmatch(text) is not None


def _entries(base: Path) -> list[Path]:
    """What is in a directory; nothing where there is none, or it is not for this user to read."""
    try:
        return sorted(base.iterdir())
    except (FileNotFoundError, PermissionError):
        return []


def running() -> list[Home]:
    """The labs whose holder is alive."""
    return [home for home in homes() if home.holder()]
