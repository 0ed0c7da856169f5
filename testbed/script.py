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
from testbed.description.problem import found
from testbed.errors import AwsError, DescriptionError, Where
from testbed.lab import Lab

VARIABLE = "lab"
RUN_NAME = "topology"  # the script's __name__; `__main__` would bring its lab up


def run(path: Path) -> Lab:
    """The lab a script defines.

    Raises DescriptionError with the script's own innermost line, whatever goes wrong in it.
    """
    try:
        with _importing_from(path.parent):
            defined = runpy.run_path(str(path), run_name=RUN_NAME)
    except SystemExit as error:
        where = Where(str(path), _line(error, path))
        raise DescriptionError("the script exits instead of defining its lab", where) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _explained(error, path) from error
    lab = defined.get(VARIABLE)
    if not isinstance(lab, Lab):
        raise DescriptionError(_no_lab(defined), Where(str(path)))
    return lab


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """A script finds the modules beside it, as when Python runs it."""
    before = sys.path.copy()
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = before


def _no_lab(defined: dict[str, Any]) -> str:
    missing = "the script defines no `lab`"
    if VARIABLE in defined:
        return f"`lab` is {found(defined[VARIABLE])}; expected a testbed.lab.Lab"
    others = [f"`{name}`" for name, value in defined.items() if isinstance(value, Lab)]
    return f"{missing}; is it {' or '.join(others)}?" if others else missing


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
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return DescriptionError(said.removesuffix(":"), Where(str(path), line))


def _line(error: BaseException, path: Path) -> int:
    """The innermost line of this script that was running, or that is not Python; 0 for neither."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 0
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return lines[-1] or 0 if lines else 0
