"""Namespaces of a measured run's own, and how to tell that what it made is really gone."""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.meter import Numbers
from testbed.kernel.machine import mounts
from testbed.kernel.namespaces.enter import CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUSER, unshare

LIMIT = Path("/proc/sys/user/max_net_namespaces")
UNLIMITED = "1000000"
PATIENCE_S = 600.0
ALL_USERS = 65536


def run(measure: Callable[..., Numbers], *arguments: object) -> None:
    """Measure in namespaces of our own and print the numbers; end when the kernel has let go.

    Else the next contender would share the machine with the end of what this one has made.
    """
    isolate()
    json.dump(measure(*arguments), sys.stdout)
    mounts.detach("/run")  # where names keep namespaces
    wait_for_at_most(1)


def isolate() -> None:
    """Move this process into a user, mount and network namespace of its own.

    It is root there, whoever runs it; nothing it names or mounts is seen outside.
    """
    _own_user_namespace()
    LIMIT.write_text(UNLIMITED)
    mounts.mount("", "/", flags=mounts.MS_REC | mounts.MS_PRIVATE)
    mounts.mount("tmpfs", "/run", "tmpfs")  # labs' files, names of `ip netns`
    Path("/run/netns").mkdir()
    mounts.mount("sysfs", "/sys", "sysfs")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _own_user_namespace() -> None:
    """Unshare; a child that stays behind says which users there are: only it has the right to."""
    inside = Path(f"/proc/{os.getpid()}")
    unshared, unshare_is_done = os.pipe()
    mapper = os.fork()
    if mapper == 0:
        os.close(unshare_is_done)
        os.read(unshared, 1)
        _map_users(inside)
        os._exit(0)
    unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET)
    os.close(unshare_is_done)
    os.waitpid(mapper, 0)


def _map_users(inside: Path) -> None:
    """All users for root, so that programs may leave root's rights; else the user alone."""
    users, groups = f"0 {os.geteuid()} 1", f"0 {os.getegid()} 1"
    if os.geteuid() == 0:
        users = groups = f"0 0 {ALL_USERS}"
    else:
        (inside / "setgroups").write_text("deny")
    (inside / "uid_map").write_text(users)
    (inside / "gid_map").write_text(groups)


def wait_for_at_most(namespaces: int) -> None:
    """Wait until no more network namespaces of this user namespace are left, its own included.

    The kernel counts them until the last of their memory is freed, and refuses one above the
    limit: exact, and blind to what other programs do.  Raises TimeoutError.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not _at_most(namespaces):
        if time.monotonic() > deadline:
            raise TimeoutError(f"more than {namespaces} namespaces are left")
        time.sleep(0.002)


def _at_most(namespaces: int) -> bool:
    LIMIT.write_text(str(namespaces + 1))
    child = os.fork()
    if child == 0:
        refused = 1
        try:
            unshare(CLONE_NEWNET)
            refused = 0
        finally:
            os._exit(refused)
    _, status = os.waitpid(child, 0)
    LIMIT.write_text(UNLIMITED)
    return status == 0
