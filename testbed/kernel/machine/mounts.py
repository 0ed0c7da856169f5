"""Mounts of the calling process' mount namespace.  Needs CAP_SYS_ADMIN in its user namespace."""

import ctypes
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from testbed.kernel.namespaces.enter import CLONE_NEWNS, unshare

MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8  # linux/mount.h
MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE = 4096, 16384, 1 << 18, 1 << 19
MNT_DETACH = 2
# asm-generic/unistd.h, the same on all architectures; glibc has no open_tree before 2.36
OPEN_TREE, MOVE_MOUNT = 428, 429
AT_FDCWD, AT_RECURSIVE = -100, 0x8000  # linux/fcntl.h
OPEN_TREE_CLONE, MOVE_MOUNT_F_EMPTY_PATH = 1, 4  # linux/mount.h
UNPRIVILEGED = MS_NOSUID | MS_NODEV | MS_NOEXEC  # nothing on it gives anybody anything

RUN = Path("/run")
HOST_RUN = ".host"
LOCK = "xtables.lock"  # iptables
NAMES = Path("/run/netns")  # where iproute2 looks names up
LABS = Path("/run/testbed")  # root's

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, filesystem: str = "", flags: int = 0, data: str = "") -> None:
    """Mount `source` on `target`.  Raises OSError naming the target."""
    result = _libc.mount(
        source.encode(), target.encode(), filesystem.encode(), ctypes.c_ulong(flags), data.encode()
    )
    _checked(result, f"mount {target}")


def detach(target: str) -> None:
    """Unmount `target` now and let it go when its last user does.  Raises OSError."""
    _checked(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def own() -> None:
    """Give the calling thread mounts of its own: nobody else sees what it mounts from now on.

    It sees what others mount: file systems that come and go do so here too.
    """
    unshare(CLONE_NEWNS)
    mount("", "/", flags=MS_REC | MS_SLAVE)


def system() -> None:
    """A /proc of the calling process' pid namespace, and an empty /run/netns.  Raises OSError.

    Where the machine has no /run/netns and lets us make none, /run is our own as well.
    """
    mount("proc", "/proc", "proc", UNPRIVILEGED)
    if not os.access(RUN, os.W_OK):
        _own_run()
    NAMES.mkdir(exist_ok=True)
    mount("tmpfs", str(NAMES), "tmpfs", UNPRIVILEGED, "mode=0755")


def _own_run() -> None:
    """A /run that can be written to; what was in it is reached by symbolic links.

        /run/user -> .host/user

    An ordinary user may not make /run/netns, nor lock the machine's /run/xtables.lock; whoever is
    root here only has labs of their own.
    """
    left_out = (NAMES.name, LABS.name, LOCK)
    names = [entry.name for entry in RUN.iterdir() if entry.name not in left_out]
    machines = _copy_of_mounts(RUN)
    try:
        mount("tmpfs", str(RUN), "tmpfs", UNPRIVILEGED, "mode=0755")
        (RUN / HOST_RUN).mkdir()
        _attach(machines, RUN / HOST_RUN)
    finally:
        os.close(machines)
    for name in names:
        (RUN / name).symlink_to(Path(HOST_RUN, name))


def _copy_of_mounts(place: Path) -> int:
    """A descriptor of what is mounted there and below, once more and nowhere yet."""
    flags = OPEN_TREE_CLONE | AT_RECURSIVE | os.O_CLOEXEC
    file: int = _libc.syscall(OPEN_TREE, AT_FDCWD, os.fsencode(place), flags)
    _checked(file < 0, f"open_tree {place}")
    return file


def _attach(file: int, place: Path) -> None:
    at = (AT_FDCWD, os.fsencode(place))
    moved = _libc.syscall(MOVE_MOUNT, file, b"", *at, MOVE_MOUNT_F_EMPTY_PATH)
    _checked(moved, f"move_mount {place}")


def own_sys() -> None:
    """A /sys of the network namespace the calling thread is in.  Raises OSError.

    In an ordinary user's namespaces the machine's cannot be unmounted, so it is covered.
    """
    with suppress(OSError):
        detach("/sys")
    mount("sysfs", "/sys", "sysfs", UNPRIVILEGED)


def cover(files: Mapping[str, Path]) -> None:
    """Show files in the place of others: `{"/etc/resolv.conf": FILE}`.

    A place that is a symbolic link stays one: what it leads to is covered.  Where there is nothing
    to cover, nothing is made: a mount needs a file below it, which would be the machine's.
    """
    for place, file in files.items():
        behind = Path(place).resolve()
        if behind.exists() and file.exists():
            mount(str(file), str(behind), flags=MS_BIND)
