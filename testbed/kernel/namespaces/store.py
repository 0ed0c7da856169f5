"""Who holds a lab's network namespaces, by name, and their descriptors.  Needs CAP_SYS_ADMIN."""

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from fcntl import F_DUPFD_CLOEXEC, fcntl
from pathlib import Path
from typing import Protocol, Self

from testbed.errors import KernelError, told
from testbed.kernel.namespaces.enter import returning, unshared
from testbed.kernel.namespaces.making import Maker, making


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
        _make_room(len(names))
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


def _make_room(descriptors: int) -> None:
    """Let this process have a table for so many at once, as far as it may.

    It would double again and again, and with more than one thread each time wait for all
    processors (fs/file.c: expand_fdtable), 10 ms or more.
    """
    with suppress(OSError), Path(os.devnull).open() as any_file:
        os.close(fcntl(any_file, F_DUPFD_CLOEXEC, 2 * descriptors))


def _made(name: str) -> int:
    try:
        return unshared()
    except OSError as refused:
        raise told(refused, f"cannot make the namespace '{name}'") from refused
