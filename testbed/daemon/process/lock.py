"""Who is at work on a lab: one `up` or `down` at a time, and none that is dead."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from testbed.errors import UsageError
from testbed.kernel.machine.processes import Process, record, recorded

PATIENCE_S = 10.0  # for what a killed `up` had started; it goes within milliseconds
LOOK_S = 0.005


@contextmanager
def locked(file: Path, lab: str, kept: Path) -> Iterator[None]:
    """The lock of a lab is ours for the block; its file goes with what it protects, `kept`.

    Raises UsageError when another process has it.
    """
    lock = _lock(file, lab)
    try:
        yield
    finally:
        if not kept.exists():
            file.unlink(missing_ok=True)
        os.close(lock)


def _lock(file: Path, lab: str) -> int:
    """A descriptor that locks the file of this name, which may have been removed and made."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        lock = os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            _refuse_a_live_one(recorded(file), lab, deadline)
            continue
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), file.stat()):
                with suppress(OSError):  # a full file system must not keep a lab from going down
                    os.ftruncate(lock, 0)
                    os.write(lock, record(Process.of(os.getpid())).encode())
                return lock
        os.close(lock)


def _refuse_a_live_one(owner: Process | None, lab: str, deadline: float) -> None:
    """Raise UsageError, unless who took the lock is dead: its children still have it, not long."""
    if owner is None or owner.alive() or time.monotonic() > deadline:
        raise UsageError(f"another `testbed up` or `down` is at work on lab '{lab}'; wait for it")
    time.sleep(LOOK_S)
