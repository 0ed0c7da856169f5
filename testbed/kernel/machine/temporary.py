"""Directories for as long as a process lives; what a killed one has left, the next one sweeps."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "testbed-bed-"  # an ordinary user's labs are in /tmp/testbed-UID


@contextmanager
def directory() -> Iterator[Path]:
    """A new directory for this user alone, gone after the block.

    Who has it locks it.  The lock ends with the process, however that ends, is seen from every
    pid namespace, and does not depend on an id that another process may have by now.
    """
    sweep()
    made, lock = _made()
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(lock)


def sweep() -> list[Path]:
    """Remove this user's directories whose process is gone; which ones."""
    return [place for place in Path(tempfile.gettempdir()).glob(f"{PREFIX}*") if _swept(place)]


def _made() -> tuple[Path, int]:
    """A locked directory; another process may sweep it before it is locked."""
    while True:
        made = Path(tempfile.mkdtemp(prefix=PREFIX))
        with suppress(FileNotFoundError, BlockingIOError):
            return made, _locked(made)


def _swept(place: Path) -> bool:
    try:
        lock = _locked(place)
    except OSError:  # somebody has it or has swept it, or it is not for us to look into
        return False
    try:
        if os.fstat(lock).st_uid != os.geteuid():
            return False
        shutil.rmtree(place, ignore_errors=True)
        return True
    finally:
        os.close(lock)


def _locked(place: Path) -> int:
    """A descriptor that locks a directory.  Raises OSError: BlockingIOError where it is locked."""
    lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        place.stat()  # not there any more: its sweeper was quicker
    except OSError:
        os.close(lock)
        raise
    return lock
