"""Mininet programs run on a machine of their own, and what they leave there."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from testbed.kernel.machine import mounts
from testbed.kernel.machine.scratch import in_scratch
from tests.mininet.lab import processes
from tests.waiting import PATIENCE_S, wait_until

REPOSITORY = Path(__file__).parents[2]
MN = Path(sys.executable).with_name("mn")
CUSTOM = REPOSITORY / "topologies" / "mininet_eks.py"
INNOCENT = Path("/tmp/innocent.log")  # what Mininet's clean-up would remove
FLAGS = mounts.MS_NOSUID | mounts.MS_NODEV


@dataclass
class Ended:
    """How a program ended, what it printed, and what is there afterwards."""

    code: int
    printed: str
    innocent: bool
    labs: list[str]
    processes: list[str]


Program = subprocess.Popen[str]


def start(*argv: str | Path, path: str = "") -> Program:
    """A program whose output comes in one stream; path: PYTHONPATH."""
    return subprocess.Popen(
        [sys.executable, *map(str, argv)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "HOME": "/tmp", "PYTHONPATH": path or str(REPOSITORY)},
    )


def on_a_machine(
    *argv: str | Path,
    files: dict[str, str] | None = None,
    path: str = "",
    act: Callable[[Program], str] = lambda program: program.communicate(timeout=PATIENCE_S)[0],
) -> Ended:
    """Run a program on an empty machine, where it can harm nobody.

    files: what is in /tmp, by name.  act: what is done with the program; it returns the output.
    """

    def work() -> Ended:
        cover("/run")
        cover("/tmp", REPOSITORY, Path(sys.prefix))
        for name, text in {INNOCENT.name: "", **(files or {})}.items():
            Path("/tmp", name).write_text(text)
        program = start(*argv, path=path)
        printed = act(program)
        code = program.wait(timeout=PATIENCE_S)
        with suppress(AssertionError):
            wait_until(lambda: processes() == [])
        labs = Path("/run/testbed")
        left = [entry.name for entry in labs.iterdir()] if labs.exists() else []
        return Ended(code, printed, INNOCENT.exists(), left, processes())

    return in_scratch(work, timeout_s=4 * PATIENCE_S)


def cover(place: str, *kept: Path) -> None:
    """An empty directory in the place of another; what is kept of it can still be reached."""
    inside = {path: f"/run/{i}" for i, path in enumerate(kept) if path.is_relative_to(place)}
    for path, aside in inside.items():
        Path(aside).mkdir()
        mounts.mount(str(path), aside, flags=mounts.MS_BIND)
    mounts.mount("tmpfs", place, "tmpfs", FLAGS)
    for path, aside in inside.items():
        path.mkdir(parents=True, exist_ok=True)
        mounts.mount(aside, str(path), flags=mounts.MS_BIND)


def shows(program: Program, text: str) -> str:
    """What a program prints up to the line that has `text`."""
    assert program.stdout is not None
    printed = ""
    for line in program.stdout:
        printed += line
        if text in line:
            return printed
    raise AssertionError(f"no {text!r} in {printed!r}")
