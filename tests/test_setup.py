"""When `make` sets the machine up, and when nothing is to be done."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_S

PROJECT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout whose .venv was made in it."""
    here = tmp_path / "a folder's name"
    (here / ".venv").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "setup.sh"):
        shutil.copyfile(PROJECT / name, here / name)
    made = f"home = /usr/bin\ncommand = /usr/bin/python3 -m venv {here}/.venv\n"
    (here / ".venv/pyvenv.cfg").write_text(made)
    (here / ".venv/.ready").touch()
    return here


def sets_up(folder: Path) -> bool:
    """Whether `make setup` would do anything there."""
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    argv = ["make", "--dry-run", "setup"]
    done = subprocess.run(
        argv, cwd=folder, env=environment, capture_output=True, timeout=PATIENCE_S, check=True
    )
    return b"sh setup.sh" in done.stdout


def test_what_is_set_up_is_left_alone(folder: Path) -> None:
    assert not sets_up(folder)


def test_a_change_of_what_is_needed_is_followed(folder: Path) -> None:
    later = (folder / ".venv/.ready").stat().st_mtime + 1
    os.utime(folder / "pyproject.toml", (later, later))

    assert sets_up(folder)


def test_a_folder_that_was_moved_or_copied_gets_a_venv_of_its_own(folder: Path) -> None:
    """Its programs have the paths of the other one, and would run what is there."""
    copy = Path(shutil.copytree(folder, folder.with_name("copy")))
    moved = folder.rename(folder.with_name("moved"))

    assert sets_up(copy)
    assert sets_up(moved)
