"""Mounts of the calling process' mount namespace.  Needs CAP_SYS_ADMIN in its user namespace."""

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path

from testbed.kernel.namespaces import CLONE_NEWNS, unshare

MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8  # linux/mount.h
MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE = 4096, 16384, 1 << 18, 1 << 19
MNT_DETACH = 2

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


def cover(files: Mapping[str, Path]) -> None:
    """Show files in the place of others: `{"/etc/resolv.conf": FILE}`.

    A place that is a symbolic link stays one: what it leads to is covered.  Where there is nothing
    to cover, nothing is made: a mount needs a file below it, which would be the machine's.
    """
    for place, file in files.items():
        behind = Path(place).resolve()
        if behind.exists() and file.exists():
            mount(str(file), str(behind), flags=MS_BIND)
