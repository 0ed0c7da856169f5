"""Namespaces of a measured run's own, and how to tell that what it made is really gone."""

import os
import resource
import time
from pathlib import Path

from testbed.kernel import mounts
from testbed.kernel.namespaces import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUSER,
    unshare,
)

LIMIT = Path("/proc/sys/user/max_net_namespaces")
UNLIMITED = "1000000"
PATIENCE_S = 600.0
OWN_DIRECTORIES = ("/run", "/tmp")  # labs' files, `ip netns` names, what Mininet leaves


def isolate() -> None:
    """Move this process into a user, mount and network namespace of its own.

    It is root there, whoever runs it; nothing it names or mounts is seen outside.
    """
    user, group = os.getuid(), os.getgid()
    unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    LIMIT.write_text(UNLIMITED)
    mounts.mount("", "/", flags=mounts.MS_REC | mounts.MS_PRIVATE)
    for directory in OWN_DIRECTORIES:
        mounts.mount("tmpfs", directory, "tmpfs")
    Path("/run/netns").mkdir()
    mounts.mount("sysfs", "/sys", "sysfs")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


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
