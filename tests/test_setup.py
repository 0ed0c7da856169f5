"""When `make` sets the machine up, when there is nothing to do, and what it says if it cannot."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from testbed.kernel.machine import mounts
from testbed.kernel.machine.scratch import in_scratch
from tests.waiting import PATIENCE_S

MS_RDONLY, MS_REMOUNT = 1, 32  # linux/mount.h
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


def refused(folder: Path, **environment: str) -> str:
    """The one line that setup.sh ends with where it cannot work."""
    done = subprocess.run(
        ["/bin/sh", "setup.sh"],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    return done.stderr


@pytest.mark.parametrize("character", ['"', "$", "`", "\\"])
def test_a_folder_in_which_pips_programs_would_not_start_is_refused(
    folder: Path, character: str
) -> None:
    """They begin with a line of sh: `'''exec' "FOLDER/.venv/bin/python" "$0" "$@"`."""
    renamed = folder.rename(folder.with_name(f"a{character}b"))

    assert refused(renamed) == (
        f'setup: the name of this folder may have no ", $, ` or \\: {renamed}\n'
    )


@pytest.mark.kernel
@pytest.mark.parametrize("place", [".", ".venv"])
def test_what_may_not_be_written_to_is_told_before_anything_is_done(
    folder: Path, place: str
) -> None:
    """A read-only disk; to another user all of root's .venv is like that."""

    def work() -> str:
        there = str(folder / place)
        mounts.mount(there, there, flags=mounts.MS_BIND)
        mounts.mount("", there, flags=mounts.MS_BIND | MS_REMOUNT | MS_RDONLY)
        return refused(folder)

    assert in_scratch(work).endswith(
        f" may not write to {(folder / place).resolve()}: another user's, or read-only\n"
    )


def test_without_apt_the_packages_are_named(folder: Path, tmp_path: Path) -> None:
    """Fedora, Alpine: what is missing, by Debian's names."""
    programs(tmp_path, "id", "dirname", "realpath")

    said = refused(folder, PATH=str(tmp_path))

    assert said.startswith("setup: no apt-get here; please install what Debian calls: ")
    assert " curl" in said


APT_GET = """\
#!/bin/sh
case "$* $(cat {0}/mended)" in
    *install*mended) ln -s /bin/true {0}/ping ;;
    *install*) echo "E: you must manually run 'dpkg --configure -a' to correct it"; exit 100 ;;
esac
"""
DPKG = """\
#!/bin/sh
echo mended >{0}/mended
"""


@pytest.mark.kernel
def test_what_a_killed_apt_get_has_left_is_finished(folder: Path, tmp_path: Path) -> None:
    """It begins nothing new before that, and says so."""
    programs(tmp_path, "id", "dirname", "env", "mkdir", "tee", "rm", "cat", "ln")
    (tmp_path / "mended").touch()
    for name, text in {"apt-get": APT_GET, "dpkg": DPKG}.items():
        (tmp_path / name).write_text(text.format(tmp_path))
        (tmp_path / name).chmod(0o755)

    def work() -> str:
        mounts.mount("tmpfs", "/run", "tmpfs", 0, "mode=0755")
        done = subprocess.run(
            ["/bin/sh", "setup.sh", "bench"],
            cwd=folder,
            env={"PATH": str(tmp_path)},
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        return done.stdout

    assert "setup: finishing what an interrupted installation has left\n" in in_scratch(work)
    assert (tmp_path / "ping").exists()


def programs(directory: Path, *names: str) -> None:
    """A directory for PATH with a few of this machine's programs."""
    for name in names:
        there = shutil.which(name)
        assert there is not None
        (directory / name).symlink_to(there)
