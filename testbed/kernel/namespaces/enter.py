"""Making network namespaces and being in them, thread by thread.  Needs CAP_SYS_ADMIN.

`setns` and `unshare` act on the calling thread alone.  They are called through ctypes because
`os.setns` and `os.unshare` came with Python 3.12.
"""

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from testbed.errors import MissingFeature
from testbed.kernel.rootless import obstacles

CLONE_NEWNS = 0x00020000  # linux/sched.h
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

OWN_NETNS = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Move the calling thread into new namespaces (CLONE_NEW*).

    Raises OSError; MissingFeature where a limit allows no more of them: namespaces(7).
    """
    if _libc.unshare(flags):
        if ctypes.get_errno() == errno.ENOSPC:
            raise MissingFeature(f"no namespace more is allowed: {obstacles.limits()}")
        _raise_errno("unshare")


def setns(fd: int, kind: int = 0) -> None:
    """Move the calling thread into the namespace of a descriptor; kind 0: any.  Raises OSError."""
    if _libc.setns(fd, kind):
        _raise_errno("setns")


def new_netns() -> int:
    """A descriptor of a new, empty network namespace; the calling thread stays where it is."""
    with returning():
        return unshared()


def enter(fd: int) -> None:
    """Move the calling thread into a network namespace, within `returning`.  Raises OSError."""
    setns(fd, CLONE_NEWNET)


@contextmanager
def entered(fd: int) -> Iterator[None]:
    """The calling thread is in that network namespace; it always returns to where it was."""
    with returning():
        enter(fd)
        yield


@contextmanager
def returning() -> Iterator[None]:
    """Whatever network namespaces the calling thread enters, it is where it was afterwards.

    For many of them, one after the other, it takes three system calls less for each.
    """
    home = _own_netns()
    try:
        yield
    finally:
        setns(home, CLONE_NEWNET)
        os.close(home)


def unshared() -> int:
    """A descriptor of a new network namespace, which the calling thread is in from now on."""
    unshare(CLONE_NEWNET)
    return _own_netns()


def _own_netns() -> int:
    return os.open(OWN_NETNS, os.O_RDONLY | os.O_CLOEXEC)


def _raise_errno(call: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{call}: {os.strerror(number)}")
