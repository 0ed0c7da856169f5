"""Work done in private namespaces that vanish with it.  An ordinary user is root in them.

Only for a process that may fork: one thread, or a child that does nothing but the work.
"""

import gc
import os
import pickle
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import TypeVar

from testbed.errors import KernelError
from testbed.kernel.machine import mounts
from testbed.kernel.machine.processes import end_with_parent, fork
from testbed.kernel.namespaces import CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, unshare
from testbed.kernel.rootless import obstacles
from testbed.kernel.rootless.userns import become_root_where_needed

T = TypeVar("T")


def in_child(work: Callable[[], T], *, timeout_s: float = 60.0) -> T:
    """What `work` returned in a forked child; what it raised is raised here.

    Raises KernelError when the child ended or was ended without an answer.
    """
    answers, answer = os.pipe()
    sys.stdout.flush()
    child = fork()
    if child == 0:
        _answer(work, answer)
    os.close(answer)
    handle = os.pidfd_open(child)
    try:
        pickled = _read_all(answers, timeout_s)
    finally:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(handle)
        os.close(answers)
    if not pickled:
        raise KernelError(f"a child ended without an answer within {timeout_s:g} s")
    returned, error = pickle.loads(pickled)
    if error is not None:
        raise error
    return returned  # type: ignore[no-any-return]  # what T's work returned


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


def _answer(work: Callable[[], object], answer: int) -> None:
    """In the child: work, hand over the result or the error, end without the parent's clean-up."""
    end_with_parent()
    gc.freeze()  # to look for cycles among the parent's objects would copy all their memory
    try:
        pickled = pickle.dumps((work(), None))
    except BaseException as error:  # noqa: BLE001 - all of them are the parent's to see
        if not hasattr(error, "__notes__"):  # else a child of ours has added one
            error.add_note(traceback.format_exc())
        pickled = pickle.dumps((None, error))
    try:
        sys.stdout.flush()
        with open(answer, "wb") as file:
            file.write(pickled)
    finally:
        os._exit(0)


def _read_all(file: int, timeout_s: float) -> bytes:
    """What comes until the end of file; nothing of it when that takes too long."""
    deadline = time.monotonic() + timeout_s
    ready = select.poll()
    ready.register(file, select.POLLIN)
    data = b""
    while ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
        piece = os.read(file, 65536)
        if not piece:
            return data
        data += piece
    return b""
