"""Tests that root runs, once more as an ordinary user: root of a user namespace, as without sudo.

Not all: what is different for such a user is in the mounts, the privileges and the limits.  The
command line has its own: tests/cli/life/test_rootless.py, test_killed_anywhere.py.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import ordinary

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).parents[1]
ROOMS = (
    "tests/kernel/write/test_apply.py",
    "tests/kernel/write/test_changes.py",
    "tests/kernel/write/test_refusals.py",
    "tests/kernel/programs/test_run.py",
    "tests/routing/eks/test_pods.py",
    "tests/routing/kops/test_pods.py",
)


@pytest.mark.slow  # files of tests, one after the other
@pytest.mark.parametrize("room", ROOMS)
def test_what_root_may_test_an_ordinary_user_may(room: str) -> None:
    ordinary.skip_unless_possible()
    with ordinary.home() as home:
        pytest_ = [sys.executable, "-m", "pytest", "-q", "-rs", "--no-header", str(ROOT / room)]
        done = subprocess.run(
            [sys.executable, "-m", "testbed.kernel.rootless", *pytest_],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
            **ordinary.identity(
                home,
                TMPDIR=str(home),
                PYTHONDONTWRITEBYTECODE="1",
                HYPOTHESIS_STORAGE_DIRECTORY=str(home),
            ),
        )

    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
