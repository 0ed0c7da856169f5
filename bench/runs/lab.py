"""A whole lab through the command line, as a user has it."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

from bench.meter import used
from testbed.lab import Lab

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
LARGE = TOPOLOGIES / "eks-100x30.py"
FULL_SIZE = (100, 30)


def testbed(*arguments: str) -> str:
    """What the command prints.  Raises CalledProcessError when it fails."""
    argv = [sys.executable, "-m", "testbed", *arguments]
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout


def timed(*arguments: str) -> float:
    """How many seconds the command takes."""
    with used() as spent:
        testbed(*arguments)
    return spent.seconds


def large(nodes: int, pods: int) -> Lab:
    """The large topology's lab in another size, as a value."""
    lab: Lab = runpy.run_path(str(LARGE))["cluster"](nodes, pods)
    return lab


def topology(nodes: int, pods: int) -> Path:
    """The large topology's file, or one with the same lab in another size."""
    if (nodes, pods) == FULL_SIZE:
        return LARGE
    file = Path(f"/run/eks-{nodes}x{pods}.py")  # of this run's own: see `spaces`
    file.write_text(
        f"import runpy\n\nlab = runpy.run_path({str(LARGE)!r})['cluster']({nodes}, {pods})\n"
    )
    return file


def first_process() -> int:
    """The id of the lab's holder: the daemon and all programs are below it."""
    [lab] = json.loads(testbed("ls", "-o", "json"))
    return int(lab["pid"])
