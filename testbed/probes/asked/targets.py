"""The targets of a load balancer as its haproxy judges them."""

import csv
from pathlib import Path

from testbed.errors import KernelError
from testbed.kernel.programs import unix
from testbed.services.load_balancers.health import STATISTICS, Server, TargetState

TIMEOUT_S = 2.0

UNCHECKED = "no check"  # of the backends that take all targets where none is healthy


def targets(directory: Path) -> dict[Server, TargetState]:
    """The state of each target.  directory: of the balancer's program.

    Raises KernelError: the program does not answer.
    """
    rows = csv.DictReader(_statistics(directory).removeprefix("# ").splitlines())
    return {
        Server(row["pxname"], row["svname"]): _state(row["status"])
        for row in rows
        if row["svname"] not in ("FRONTEND", "BACKEND") and row["status"] != UNCHECKED
    }


def _state(status: str) -> TargetState:
    """`UP`, `UP 1/2`, `DOWN`, `MAINT` … in AWS' words."""
    return "InService" if status.startswith("UP") else "OutOfService"


def _statistics(directory: Path) -> str:
    """What haproxy answers to `show stat`: lines of comma-separated values below their names.

    # pxname,svname,qcur,qmax,scur,smax,slim,stot,…,status,…
    80,node-1,0,0,0,1,,3,…,UP,…
    """
    try:
        with unix.connected(directory / STATISTICS, TIMEOUT_S) as client:
            client.sendall(b"show stat\n")
            with client.makefile(encoding="ascii") as answer:
                return answer.read().strip()
    except OSError as silent:
        raise KernelError(f"a load balancer does not answer: {silent}") from silent
