"""A lab's namespaces under names on the host: `ip netns exec eks.node-1 ip rule` works there too.

A name is a symlink `/run/netns/LAB.NAME -> /proc/HOLDER/fd/N`.  Of the names with a lab's prefix
those are ours that lead to its recorded first process, dead or alive, or to no process at all.
All others are somebody else's and stay as they are.  Needs root.
"""

import os
import re
from pathlib import Path

from testbed.daemon.process.home import Home
from testbed.errors import KernelError, MissingFeature, UsageError
from testbed.kernel.machine.mounts import NAMES
from testbed.kernel.machine.processes import Process

DESCRIPTOR = re.compile(r"/proc/(\d+)/fd/\d+")


def check(home: Home) -> None:
    """Raise UsageError when somebody else has a name with this lab's prefix.

    Raises MissingFeature for an ordinary user, who can give no names.
    """
    if not _may_name():
        raise MissingFeature(f"--publish makes names in {NAMES}, which only root may")
    _refuse(set(_prefixed(home)) - _ours(home))


def publish(home: Home) -> None:
    """The names of all namespaces a running lab has now, and none of those it had before.

    Raises UsageError, before anything is changed, when somebody else has such a name.
    """
    wanted, ours = _wanted(home), _ours(home)
    _refuse(wanted.keys() & set(_prefixed(home)) - ours)
    NAMES.mkdir(mode=0o755, exist_ok=True)
    kept = {name for name in ours if wanted.get(name) == name.readlink()}
    for name in ours - kept:
        name.unlink()
    for name in wanted.keys() - kept:
        name.symlink_to(wanted[name])


def refresh(home: Home) -> None:
    """What `publish` does, for a lab whose namespaces have names on the host already."""
    if _ours(home):
        publish(home)


def withdraw(home: Home) -> None:
    """No namespace of this lab has a name on the host any more, whether it runs or not."""
    for name in _ours(home):
        name.unlink(missing_ok=True)


def sweep(home: Home) -> None:
    """Remove the names that an earlier lab of this name has left: they lead nowhere."""
    holder = home.holder()
    for name in _ours(home):
        if holder is None or _process(name) != holder.pid:
            name.unlink(missing_ok=True)


def _refuse(foreign: set[Path]) -> None:
    for name in sorted(foreign):
        raise UsageError(
            f"{name} is not this lab's: remove it, or give the lab another name with --name"
        )


def _may_name() -> bool:
    """Whether this user can make and remove names on the host."""
    return os.access(NAMES if NAMES.exists() else NAMES.parent, os.W_OK)


def _prefixed(home: Home) -> list[Path]:
    """Everything on the host whose name begins with the lab's, which has no dot itself.

    Nothing for an ordinary user: those are of root's lab of that name.
    """
    if not _may_name():
        return []
    return list(NAMES.glob(f"{home.lab}.*"))


def _ours(home: Home) -> set[Path]:
    """Those that lead to the lab's recorded first process, or to a process that is gone.

    Whether another process has that id by now does not matter: the record says whose it was.
    """
    recorded = home.recorded_holder()
    return {name for name in _prefixed(home) if _leads_to(_process(name), recorded)}


def _leads_to(process: int | None, recorded: Process | None) -> bool:
    if process is None:
        return False
    return bool(recorded and recorded.pid == process) or not Path(f"/proc/{process}").exists()


def _process(name: Path) -> int | None:
    """The process whose descriptor a name leads to; None for any other file."""
    match = DESCRIPTOR.fullmatch(str(name.readlink())) if name.is_symlink() else None
    return int(match[1]) if match else None


def _wanted(home: Home) -> dict[Path, Path]:
    """A running lab's names and the descriptors they stand for, as the host sees them.

    Inside they are `web-0 -> /proc/1/fd/7`.
    """
    holder = home.holder()
    if holder is None:
        raise KernelError(f"lab '{home.lab}' is gone")
    inside = Path(f"/proc/{holder.pid}/root{NAMES}").iterdir()
    return {
        Path(NAMES, f"{home.lab}.{held.name}"): Path(
            f"/proc/{holder.pid}/fd", held.readlink().name
        )
        for held in inside
        if held.is_symlink()
    }
