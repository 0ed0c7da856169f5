"""Network namespaces: making and entering them, and who holds them.  Needs CAP_SYS_ADMIN.

`setns` and `unshare` act on the calling thread alone.  They are called through ctypes because
`os.setns` and `os.unshare` came with Python 3.12.
"""

import ctypes
import errno
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol, Self

from testbed.errors import KernelError, MissingFeature, told
from testbed.kernel.namespaces.making import Maker
from testbed.kernel.rootless import obstacles

CLONE_NEWNS = 0x00020000  # linux/sched.h
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MANY = 64  # new namespaces that are worth a process that makes them

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
        return _unshared()


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


class NamespaceStore(Protocol):
    """Who holds a lab's namespaces, by name."""

    def names(self) -> frozenset[str]:
        """All namespaces of the lab."""

    def open(self, name: str) -> int:
        """A new descriptor of a namespace; the caller closes it.  Raises KernelError."""

    def keep(self, fds: Mapping[str, int]) -> None:
        """Hold these namespaces too; the caller still closes its descriptors."""

    def drop(self, names: Iterable[str]) -> None:
        """Let namespaces go; the kernel removes them when nothing else is in them."""


class LocalStore:
    """Namespaces held by this process (state: their descriptors); leaving it lets all go."""

    def __init__(self) -> None:
        self._fds: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.drop(self.names())

    def names(self) -> frozenset[str]:
        """All namespaces of the lab."""
        return frozenset(self._fds)

    def open(self, name: str) -> int:
        """A new descriptor of a namespace; the caller closes it.  Raises KernelError."""
        try:
            return os.dup(self._fds[name])
        except KeyError:
            raise KernelError(f"there is no namespace '{name}' in this lab") from None

    def keep(self, fds: Mapping[str, int]) -> None:
        """Hold these namespaces too; the caller still closes its descriptors."""
        for name, fd in fds.items():
            self.drop([name])
            self._fds[name] = os.dup(fd)

    def drop(self, names: Iterable[str]) -> None:
        """Let namespaces go; the kernel removes them when nothing else is in them."""
        for name in names:
            if name in self._fds:
                os.close(self._fds.pop(name))


class Descriptors:
    """Descriptors of a store's namespaces, each opened when first asked for (state: them).

    Any thread may ask.  Leaving it closes them.
    made: namespaces that nobody has named yet, for new ones; without it those are made here.
    """

    def __init__(self, store: NamespaceStore, made: Maker | None = None) -> None:
        self._store = store
        self._fds: dict[str, int] = {}
        self._asking = threading.Lock()
        self._coming: dict[str, None] = {}  # in the order of their making
        self._made = made
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._undo.close()
        for fd in self._fds.values():
            os.close(fd)

    def of(self, name: str) -> int:
        """The descriptor of a namespace.  Raises KernelError, MissingFeature."""
        with self._asking:
            while name in self._coming:
                self._take_some()
            if name not in self._fds:
                self._fds[name] = self._store.open(name)
            return self._fds[name]

    def create(self, names: Sequence[str]) -> None:
        """Make new namespaces and let the store hold them.  Raises KernelError, MissingFeature.

        Many are made meanwhile, in this order: each is there, and held, once it was asked for.
        """
        self._coming = dict.fromkeys(names)
        self._made = self._made or self._undo.enter_context(making(len(names)))
        if not self._made:
            while self._coming:
                self._take_some()

    def _take_some(self) -> None:
        """Name and hold the next that have come, or all that nobody else makes."""
        ready = self._made.some() if self._made else []
        named = dict(zip(self._coming, ready, strict=False)) or self._made_here()
        for spare in ready[len(named) :]:
            os.close(spare)
        self._fds.update(named)
        for name in named:
            del self._coming[name]
        self._store.keep(named)

    def _made_here(self) -> dict[str, int]:
        with returning():
            return {name: _made(name) for name in self._coming}


def _made(name: str) -> int:
    try:
        return _unshared()
    except OSError as refused:
        raise told(refused, f"cannot make the namespace '{name}'") from refused


@contextmanager
def making(count: int) -> Iterator[Maker | None]:
    """So many namespaces, made meanwhile by a process that ends with the block.

    None where they are so few that a process takes longer.
    """
    if count < MANY:
        yield None
        return
    maker = Maker(count, _unshared)
    try:
        yield maker
    finally:
        maker.end()


def _unshared() -> int:
    """A descriptor of a new network namespace; the calling thread is in it."""
    unshare(CLONE_NEWNET)
    return _own_netns()


def _own_netns() -> int:
    return os.open(OWN_NETNS, os.O_RDONLY | os.O_CLOEXEC)


def _raise_errno(call: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{call}: {os.strerror(number)}")
