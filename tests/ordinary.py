"""An ordinary user for tests that root runs: who it is, and what it may use."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from testbed.errors import TestbedError
from testbed.kernel.machine.scratch import in_child, in_scratch
from testbed.kernel.rootless.userns import own_proc

USER = 54321  # nobody's: not in passwd, and not 65534, which stands for users without a number
NEIGHBOUR = 54322  # another


def become(user: int = USER) -> None:
    """Be an ordinary user in this process, for good.

    Raises OSError where the machine has but one: in a user namespace the calls may only seem to.
    """
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    if os.geteuid() != user:
        raise OSError(errno.EINVAL, "this user namespace has one user")
    own_proc()


def _namespaces() -> None:
    become()
    in_scratch(lambda: None)


@contextmanager
def home() -> Iterator[Path]:
    """A directory of that user's, gone afterwards; pytest's own are for root alone."""
    with TemporaryDirectory(prefix="testbed-", dir="/tmp") as made:
        os.chown(made, USER, USER)
        yield Path(made)


def identity(directory: Path, **environment: str) -> dict[str, Any]:
    """What subprocess wants to know to start a program as that user."""
    own = {"HOME": str(directory), "XDG_RUNTIME_DIR": str(directory), "PATH": os.environ["PATH"]}
    return {"user": USER, "group": USER, "extra_groups": [], "env": {**own, **environment}}


def skip_unless_possible() -> None:
    """Skip, naming what is missing, where an ordinary user cannot be had or cannot have labs."""
    if os.geteuid():
        pytest.skip("needs root, to become an ordinary user")
    try:
        in_child(become)
    except (OSError, TestbedError) as refused:
        pytest.skip(f"there is no other user here: {refused}")
    with home() as directory:
        argv = [sys.executable, "-c", "import testbed.cli"]
        tried = subprocess.run(argv, capture_output=True, check=False, **identity(directory))
    if tried.returncode:
        pytest.skip(f"an ordinary user cannot read {Path(__file__).parents[1]}")
    try:
        in_child(_namespaces)
    except (OSError, TestbedError) as refused:
        pytest.skip(str(refused))
