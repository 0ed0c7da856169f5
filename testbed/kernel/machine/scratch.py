"""Work done in private namespaces that vanish with it.  An ordinary user is root in them.

Only for a process that may fork: one thread, or a child that does nothing but the work.
"""

import gc
import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from testbed.errors import KernelError
from testbed.kernel.machine import mounts
from testbed.kernel.machine.processes import end_with_parent, fork
from testbed.kernel.namespaces.enter import CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, unshare
from testbed.kernel.rootless import obstacles
from testbed.kernel.rootless.userns import become_root_where_needed

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

T = TypeVar("T")
Tell = Callable[[object], None]


def _unheard(_said: object) -> None:
    """For work that tells nothing."""


def in_child(work: Callable[[], T], *, timeout_s: float = 60.0) -> T:
    """What `work` returned in a forked child; what it raised is raised here.

    Raises KernelError when the child ended or was ended without an answer.
    """
    with child(lambda _tell: work(), timeout_s=timeout_s) as worker:
        return worker.result()


class Child(Generic[T]):
    """A forked child at work (state: what it has said)."""

    def __init__(self, answers: "Connection[Any, Any]", timeout_s: float) -> None:
        self._answers = answers
        self._timeout_s = timeout_s
        self._deadline = time.monotonic() + timeout_s

    def until_it_tells(self) -> None:
        """Return when it has told something, or has ended."""
        self._answers.poll(self._timeout_s)

    def result(self, hear: Callable[[Any], None] = _unheard) -> T:
        """What the work returned; `hear` gets what it told until then.  Raises as `in_child`."""
        try:
            kind, said = _listened(self._answers, hear, self._deadline)
        except EOFError:
            without = f"a child ended without an answer within {self._timeout_s:g} s"
            raise KernelError(without) from None
        if kind is _Said.RAISED:
            raise said
        return said  # type: ignore[no-any-return]  # what T's work returned


@contextmanager
def child(work: Callable[[Tell], T], *, timeout_s: float = 60.0) -> Iterator[Child[T]]:
    """`work` in a forked child while the block goes on; it ends with the block, done or not."""
    answers, answer = Pipe(duplex=False)
    sys.stdout.flush()
    pid = fork()
    if pid == 0:
        _answer(work, answer)
    answer.close()
    handle = os.pidfd_open(pid)
    try:
        yield Child(answers, timeout_s)
    finally:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(handle)
        answers.close()


def in_scratch(work: Callable[[], T], *, timeout_s: float = 60.0) -> T:
    """What `work` returned in new mount, network and pid namespaces, as their first process.

    There /run/netns is empty, /proc is of these namespaces, the loopback is down.  All of it ends
    with the work, or with this process.
    """

    def outer() -> T:
        become_root_where_needed()
        unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID)
        return in_child(inner, timeout_s=timeout_s)

    def inner() -> T:
        mounts.mount("", "/", flags=mounts.MS_REC | mounts.MS_PRIVATE)
        with obstacles.explained():
            mounts.system()
            mounts.own_sys()
        return work()

    return in_child(outer, timeout_s=timeout_s)


class _Said(Enum):
    """What a child says: something on the way, and one of the others at the end."""

    MEANWHILE = auto()
    RETURNED = auto()
    RAISED = auto()


def _answer(work: Callable[[Tell], object], answer: "Connection[Any, Any]") -> None:
    """In the child: work, hand over the result or the error, end without the parent's clean-up."""
    end_with_parent()
    gc.freeze()  # to look for cycles among the parent's objects would copy all their memory
    try:
        said = _Said.RETURNED, work(lambda word: answer.send((_Said.MEANWHILE, word)))
        pickled = pickle.dumps(said)
    except BaseException as error:  # noqa: BLE001 - all of them are the parent's to see
        if not hasattr(error, "__notes__"):  # else a child of ours has added one
            error.add_note(traceback.format_exc())
        pickled = pickle.dumps((_Said.RAISED, error))
    try:
        sys.stdout.flush()
        answer.send_bytes(pickled)
    finally:
        os._exit(0)


def _listened(
    answers: "Connection[Any, Any]", hear: Callable[[Any], None], deadline: float
) -> tuple[_Said, Any]:
    """How it ended.  Raises EOFError: without a word, or not in time."""
    while answers.poll(max(0.0, deadline - time.monotonic())):
        kind, said = answers.recv()
        if kind is not _Said.MEANWHILE:
            return kind, said
        hear(said)
    raise EOFError
