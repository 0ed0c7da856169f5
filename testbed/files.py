"""Texts that users name: files, or `-` for standard input.  Reading them is an EFFECT."""

import sys
from collections.abc import Iterable
from pathlib import Path

from testbed.description.problem import nearest
from testbed.errors import DescriptionError, Where

STANDARD_INPUT = "-"


def texts(names: Iterable[str]) -> dict[str, str]:
    """Each file's text by its name, `<stdin>` for standard input.

    Raises DescriptionError, which names the file.
    """
    paths = {name: Path("<stdin>" if name == STANDARD_INPUT else name) for name in names}
    return {str(path): text(_content(name, path), path) for name, path in paths.items()}


def _content(name: str, path: Path) -> bytes:
    return sys.stdin.buffer.read() if name == STANDARD_INPUT else content(path)


def content(path: Path) -> bytes:
    """What is in a file.  Raises DescriptionError: it cannot be read."""
    where = Where(str(path))
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        beside = [one.name for one in path.parent.glob("*")]
        raise DescriptionError(f"no such file{nearest(path.name, beside)}", where) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DescriptionError(f"cannot be read: {reason}", where) from error


def text(found: bytes, path: Path) -> str:
    """The bytes as text.  Raises DescriptionError with the line that is no UTF-8."""
    try:
        return found.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = found.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{found[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise DescriptionError(message, Where(str(path), line)) from error
