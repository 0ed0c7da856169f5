"""A daemon takes over whatever an earlier one has left, half-way through a change too."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from testbed.daemon.inside import enter_lab
from testbed.daemon.process.home import Home
from testbed.daemon.process.store import HolderStore
from testbed.kernel.machine.scratch import in_child
from tests.cli.conftest import Commands
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

LISTEN = "import socket; s = socket.create_server(('', 80)); print('serving', flush=True); input()"


def drop(commands: Commands, name: str) -> None:
    """Let a namespace go, as a change does that has no such pod any more."""
    home = Home(commands.name)

    def inside() -> None:
        enter_lab(home)  # its pid namespace is that of children
        in_child(lambda: HolderStore(home).drop([name]), timeout_s=PATIENCE_S)

    in_child(inside, timeout_s=PATIENCE_S)


@contextmanager
def taken(commands: Commands, pod: str) -> Iterator[None]:
    """Somebody else serves a pod's port for the block."""
    server = commands.start("exec", "-l", commands.name, pod, "--", sys.executable, "-c", LISTEN)
    assert server.stdout is not None
    assert server.stdout.readline() == "serving\n"
    yield
    server.communicate("\n", timeout=PATIENCE_S)


def test_a_namespace_that_the_killed_one_had_dropped_comes_again(commands: Commands) -> None:
    commands.up()
    commands.kill_daemon()
    drop(commands, "web-1")

    commands.up()

    commands.on("verify")
    commands.on("matrix", "-p", "http")


def test_a_port_that_somebody_has_taken_keeps_no_other_verb_away(commands: Commands) -> None:
    """`up` tells which, and serves it when it can be had."""
    commands.up()
    commands.kill_daemon()
    with taken(commands, "web-1"):
        refused = commands.start("up", str(commands.file))
        _, errors = refused.communicate(timeout=PATIENCE_S)
        assert "cannot serve 0.0.0.0:80/http of web-1: Address already in use" in errors
        assert "web-1" in commands.on("get", "pods")

    commands.up()

    commands.on("verify")
    commands.on("matrix", "-p", "http")
