"""What a killed test has left is swept by the next; what anybody has yet is not."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from testbed.bed import bed
from testbed.kernel.machine.temporary import PREFIX, directory, sweep
from testbed.load import load
from tests.waiting import PATIENCE_S

HAS_ONE = """\
import sys
from testbed.kernel.machine.temporary import directory
with directory() as made:
    (made / "programs").mkdir()
    print(made, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of temporary files, for this test alone."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_it_is_for_this_user_alone_and_gone_afterwards(here: Path) -> None:
    with directory() as made:
        assert made.parent == here
        assert made.stat().st_mode & 0o777 == 0o700

    assert [*here.iterdir()] == []


def test_a_killed_process_directory_is_swept_and_a_living_ones_is_not(here: Path) -> None:
    argv = [sys.executable, "-c", HAS_ONE]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        made = Path(other.stdout.readline().strip())

        assert sweep() == []

        other.kill()
        other.wait(PATIENCE_S)
    assert made.is_dir()
    with directory() as ours:
        assert [*here.iterdir()] == [ours]


def test_what_is_not_ours_stays(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Labs of an ordinary user, and what somebody has a link or a file of our name lead to."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "file").touch()
    (here / f"testbed-{os.geteuid()}").mkdir()
    (here / f"{PREFIX}link").symlink_to(elsewhere)
    (here / f"{PREFIX}file").touch()

    assert sweep() == []
    assert len([*here.iterdir()]) == 3
    assert (elsewhere / "file").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a directory to another user")
def test_another_users_stays(here: Path) -> None:
    theirs = here / f"{PREFIX}theirs"
    theirs.mkdir()
    os.chown(theirs, 54321, 54321)

    assert sweep() == []
    assert theirs.exists()


@pytest.mark.kernel
def test_the_files_of_a_bed_are_in_one(here: Path, topologies: Path) -> None:
    with bed(load(topologies / "eks-slides.yaml")):
        [made] = here.iterdir()
        assert made.name.startswith(PREFIX)

    assert [*here.iterdir()] == []
