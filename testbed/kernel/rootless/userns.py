"""A user namespace in which an ordinary user is root.  Needs no privilege."""

import ctypes
import os
from pathlib import Path

from testbed.kernel.namespaces.enter import CLONE_NEWUSER, unshare
from testbed.kernel.rootless import obstacles

CAP_SYS_ADMIN = 21  # linux/capability.h
PR_SET_DUMPABLE = 4  # linux/prctl.h
STATUS = Path("/proc/self/status")


def privileged() -> bool:
    """Whether this process may make namespaces as it is: root may, but for most containers'."""
    fields = dict(line.split(":", 1) for line in STATUS.read_text(encoding="ascii").splitlines())
    return bool(int(fields["CapEff"], 16) >> CAP_SYS_ADMIN & 1)


def become_root() -> None:
    """Move this process, which has one thread, into a user namespace where it is root.

    Its user is root there and no other user exists:

        /proc/self/uid_map    0 1000 1

    Raises MissingFeature naming the setting that is in the way and what to do about it.
    """
    obstacles.refuse_without_limits()
    user, group = os.geteuid(), os.getegid()
    with obstacles.explained():
        unshare(CLONE_NEWUSER)
        # user_namespaces(7): an ordinary user maps a group only where setgroups is refused
        _write("setgroups", "deny")
        _write("uid_map", f"0 {user} 1")
        _write("gid_map", f"0 {group} 1")


def become_root_where_needed() -> None:
    """`become_root`, unless this process may make namespaces as it is."""
    if not privileged():
        become_root()


def own_proc() -> None:
    """Let this process write to its own /proc/self, after it has changed its user: proc(5)."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1)


def entrance(pid: int) -> int:
    """What setns(2) needs to enter a process' user namespace: nothing where it is ours already.

    Nobody may enter the one they are in.
    """
    ours, theirs = (Path(f"/proc/{who}/ns/user").stat() for who in ("self", pid))
    return 0 if os.path.samestat(ours, theirs) else CLONE_NEWUSER


def has_one_user() -> bool:
    """Whether groups are not to be changed here: ours is so, or `unshare --map-root-user`'s."""
    return Path("/proc/self/setgroups").read_text(encoding="ascii") == "deny\n"


def _write(name: str, text: str) -> None:
    Path("/proc/self", name).write_text(text, encoding="ascii")
