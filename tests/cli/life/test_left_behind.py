"""What a lab that died has left is swept, and one that lives is left alone."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.daemon.process.home import Home
from testbed.kernel.machine.processes import Process
from testbed.kernel.machine.temporary import PREFIX
from tests.cli.conftest import Commands

pytestmark = pytest.mark.kernel


def test_dead_labs_are_swept(commands: Commands) -> None:
    """The holder killed: the kernel took everything, only files are left."""
    commands.up()
    holder = Home(commands.name).holder()
    assert holder is not None
    os.kill(holder.pid, signal.SIGKILL)
    while holder.alive():
        pass

    assert not commands.running()
    assert commands.name in commands.run("clean")
    assert not Home(commands.name).path.exists()


def test_clean_sweeps_what_a_killed_test_has_left(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    left = tmp_path / f"{PREFIX}abcdefgh"
    (left / "programs").mkdir(parents=True)

    assert f"removed {left}, what was left of a test" in commands.run("clean")
    assert not left.exists()


def test_a_process_id_used_again_is_not_the_holder() -> None:
    """Same id, other start time: another process."""
    own = Process.of(os.getpid())

    assert own.alive()
    assert not replace(own, started=own.started + 1).alive()


def test_inside_a_lab_other_labs_are_left_alone(commands: Commands) -> None:
    """Process ids are the lab's own there, so nobody can tell who lives."""
    commands.up()
    for verb in ("ls", f"down {commands.name}", f"up {commands.file}"):
        commands.on("shell", stdin=f"{sys.executable} -m testbed {verb}\n", code=2)
    commands.on("shell", stdin=f"{sys.executable} -m testbed clean\n")

    assert commands.running()
    commands.on("verify")
