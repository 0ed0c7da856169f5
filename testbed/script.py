"""A Python topology: a script that calls its Lab `lab`.  Running it is an EFFECT."""

import runpy
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from testbed.description import mistakes
from testbed.description.problem import found, shortened
from testbed.errors import AwsError, DescriptionError, Where, printable
from testbed.lab import Lab

VARIABLE = "lab"
LONGEST = 400  # characters of what an exception of the script says
RUN_NAME = "topology"  # the script's __name__; `__main__` would bring its lab up


def run(path: Path) -> Lab:
    """The lab a script defines.

    Raises DescriptionError with the script's own innermost line, whatever goes wrong in it.
    """
    try:
        with _importing_from(path.parent):
            return _lab(runpy.run_path(str(path), run_name=RUN_NAME))
    except SystemExit as error:
        where = Where(str(path), _line(error, path))
        raise DescriptionError("the script exits instead of defining its lab", where) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _explained(error, path) from error


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """A script finds the modules beside it, as when Python runs it."""
    before = sys.path.copy()
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = before


def _lab(defined: dict[str, Any]) -> Lab:
    """The script's `lab`.  Raises DescriptionError, and whatever its own objects may raise."""
    if VARIABLE in defined:
        lab = defined[VARIABLE]
        if isinstance(lab, Lab):
            return lab
        raise DescriptionError(f"`lab` is {found(lab)}; expected a testbed.lab.Lab")
    others = [f"`{name}`" for name, value in defined.items() if isinstance(value, Lab)]
    hint = f"; is it {' or '.join(others)}?" if others else ""
    raise DescriptionError(f"the script defines no `lab`{hint}")


def _explained(error: BaseException, path: Path) -> DescriptionError:
    """The error in one message, at the line of the script that led to it."""
    line = _line(error, path)
    match error:
        case ValidationError():
            return mistakes.in_call(error, Lab).error(str(path), line)
        case AwsError() | DescriptionError():
            return DescriptionError(error.message, Where(str(path), line, error.where.key))
        case SyntaxError():
            return DescriptionError(f"not Python: {error.msg}", Where(str(path), line))
    said = " ".join(f"{type(error).__name__}: {_said(error)}".split())
    shown = printable(shortened(said.removesuffix(":"), LONGEST))
    return DescriptionError(shown, Where(str(path), line))


def _said(error: BaseException) -> str:
    """What an exception says of itself, if it can: its class may be the script's own."""
    try:
        return str(error)
    except Exception as again:  # noqa: BLE001 - whatever a script may raise
        return f"(its text cannot be had: {type(again).__name__})"


def _line(error: BaseException, path: Path) -> int:
    """The innermost line of this script that was running, or that is not Python; 0 for neither."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 0
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return lines[-1] or 0 if lines else 0
