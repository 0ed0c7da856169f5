"""Many namespaces are made meanwhile: each is there once asked for, and none is left over."""

import errno
import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.errors import KernelError, MissingFeature
from testbed.kernel.namespaces.enter import new_netns
from testbed.kernel.namespaces.making import FEW, Maker, making
from testbed.kernel.namespaces.store import Descriptors, LocalStore
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

OPEN_FILES = Path("/proc/thread-self/fd")
NAMES = [f"pod-{i}" for i in range(FEW + 5)]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalStore]:
    """A store whose every namespace is made by another process; no child of ours is left."""
    monkeypatch.setattr("testbed.kernel.namespaces.making.MANY", 0)
    before = children()
    with LocalStore() as made:
        yield made
    assert children() == before, "the process that made them has ended"


def children() -> str:
    """The numbers of our own children, the dead that nobody has waited for among them."""
    return Path("/proc/thread-self/children").read_text()


def number(store: LocalStore, name: str) -> int:
    descriptor = store.open(name)
    try:
        return os.fstat(descriptor).st_ino
    finally:
        os.close(descriptor)


def test_each_is_there_and_held_once_it_was_asked_for(store: LocalStore) -> None:
    with Descriptors(store) as spaces:
        spaces.create(NAMES)
        last = os.fstat(spaces.of(NAMES[-1])).st_ino

    assert store.names() == frozenset(NAMES)
    assert number(store, NAMES[-1]) == last
    own = Path("/proc/thread-self/ns/net").stat().st_ino
    assert len({own, *(number(store, name) for name in NAMES)}) == len(NAMES) + 1


def test_who_leaves_early_has_what_has_come(store: LocalStore) -> None:
    with Descriptors(store) as spaces:
        spaces.create(NAMES)
        spaces.of(NAMES[0])

    assert store.names() == frozenset(NAMES[:FEW])


@pytest.mark.parametrize("ahead", [FEW - 2, FEW, FEW + 30])
def test_what_was_made_before_it_had_a_name_is_used(store: LocalStore, ahead: int) -> None:
    """Too few: the others are made when they are wanted.  Too many: those are let go."""
    before = len([*OPEN_FILES.iterdir()])
    with making(ahead) as made, Descriptors(store, made) as spaces:
        spaces.create(NAMES)
        spaces.of(NAMES[-1])

    assert store.names() == frozenset(NAMES)
    assert len({number(store, name) for name in NAMES}) == len(NAMES)
    assert len([*OPEN_FILES.iterdir()]) == before + len(NAMES)


def test_thousands_are_made_before_anybody_takes_one() -> None:
    """A lab is planned meanwhile: who would wait for the first to be taken had done little."""
    told, tell = os.pipe()

    def make() -> int:
        os.write(tell, b".")
        return os.open(os.devnull, os.O_RDONLY)

    maker = Maker(2000, make)
    made = 0
    while made < 2000:
        assert select.select([told], [], [], PATIENCE_S)[0], f"it waits after {made}"
        made += len(os.read(told, 2000))

    maker.end()
    os.close(told)
    os.close(tell)


def test_a_limit_is_told_with_the_namespace_it_stopped() -> None:
    made: list[int] = []

    def make() -> int:
        if len(made) == 2:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        made.append(new_netns())
        return made[-1]

    maker = Maker(9, make)
    with pytest.raises(MissingFeature, match=r"cannot make namespace 3 of 9: too many open"):
        maker.some()
    maker.end()


def test_a_maker_that_was_ended_is_told() -> None:
    maker = Maker(9, lambda: os._exit(1))
    with pytest.raises(KernelError, match="the process that makes namespaces was ended"):
        maker.some()
    maker.end()
