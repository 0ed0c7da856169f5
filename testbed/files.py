"""Texts that users name: files, or `-` for standard input.  Reading them is an EFFECT."""

import os
import re
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from testbed.description.problem import nearest
from testbed.errors import DescriptionError, Where

STANDARD_INPUT = "-"
LARGEST = 64 << 20  # bytes: a topology of 10,000 pods, each written out, has some 2 MB
# what this process was given open: <(helm template …) is /dev/fd/63, a pipe that somebody writes
GIVEN = re.compile(r"/dev/stdin|(/dev|/proc/self)/fd/\d+")


def texts(names: Iterable[str]) -> dict[str, str]:
    """Each file's text by its name, `<stdin>` for standard input.

    Raises DescriptionError, which names the file.
    """
    paths = {name: Path("<stdin>" if name == STANDARD_INPUT else name) for name in names}
    return {str(path): text(_content(name, path), path) for name, path in paths.items()}


def _content(name: str, path: Path) -> bytes:
    return _read(sys.stdin.buffer, path) if name == STANDARD_INPUT else content(path)


def content(path: Path) -> bytes:
    """What is in a file.  Raises DescriptionError: it cannot be read, or is no file for people.

    Never waits for a named pipe that nobody writes.
    """
    where = Where(str(path))
    try:
        with open(path, "rb", opener=_at_once) as file:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            if not regular and not GIVEN.fullmatch(str(path)):
                raise DescriptionError("is no regular file; standard input is /dev/stdin", where)
            os.set_blocking(file.fileno(), True)
            return _read(file, path)
    except FileNotFoundError as error:
        beside = [one.name for one in path.parent.glob("*") if one.name != path.name]
        raise DescriptionError(f"no such file{nearest(path.name, beside)}", where) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DescriptionError(f"cannot be read: {reason}", where) from error


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _read(file: BinaryIO, path: Path) -> bytes:
    """All of it; `/dev/zero` has no end."""
    found = file.read(LARGEST + 1)
    if len(found) > LARGEST:
        raise DescriptionError(f"has more than {LARGEST >> 20} MiB", Where(str(path)))
    return found


def text(found: bytes, path: Path) -> str:
    """The bytes as text.  Raises DescriptionError with the line that is no UTF-8."""
    try:
        return found.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = found.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{found[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise DescriptionError(message, Where(str(path), line)) from error
