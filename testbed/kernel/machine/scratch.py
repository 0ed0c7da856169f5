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
from collections.abc import Callable
from enum import Enum, auto
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Any, TypeVar

from testbed.errors import KernelError
from testbed.kernel.machine import mounts
from testbed.kernel.machine.processes import end_with_parent, fork
from testbed.kernel.namespaces import CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, unshare
from testbed.kernel.rootless import obstacles
from testbed.kernel.rootless.userns import become_root_where_needed

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

T = TypeVar("T")
Tell = Callable[[object], None]


def in_child(work: Callable[[], T], *, timeout_s: float = 60.0) -> T:
    """What `work` returned in a forked child; what it raised is raised here.

    Raises KernelError when the child ended or was ended without an answer.
    """
    return in_telling_child(lambda _tell: work(), _unheard, timeout_s=timeout_s)


def in_telling_child(
    work: Callable[[Tell], T], hear: Callable[[Any], None], *, timeout_s: float = 60.0
) -> T:
    """As `in_child`; and what `work` tells meanwhile is heard here meanwhile.

    What `hear` raises ends the child.
    """
    answers, answer = Pipe(duplex=False)
    sys.stdout.flush()
    child = fork()
    if child == 0:
        _answer(work, answer)
    answer.close()
    handle = os.pidfd_open(child)
    try:
        kind, said = _listened(answers, hear, time.monotonic() + timeout_s)
    except EOFError:
        raise KernelError(f"a child ended without an answer within {timeout_s:g} s") from None
    finally:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(handle)
        answers.close()
    if kind is _Said.RAISED:
        raise said
    return said  # type: ignore[no-any-return]  # what T's work returned


def _unheard(_said: object) -> None:
    """For work that tells nothing."""


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
