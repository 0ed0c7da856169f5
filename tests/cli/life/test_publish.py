"""up --publish: names on the host, so that plain `ip netns` reaches into a lab."""

import json
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.daemon.process.home import Home
from testbed.kernel.machine.processes import Process
from tests.cli.conftest import Commands
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

NAMES = Path("/run/netns")


def published() -> set[str]:
    """The names on the host."""
    return {entry.name for entry in NAMES.iterdir()}


def ip(*argv: str) -> str:
    """What `ip` prints; it has to succeed."""
    done = subprocess.run(
        ["ip", *argv], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


def kill(process: Process | None) -> None:
    """End a process as a crash would, and wait until it is gone."""
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    while process.alive():
        pass


def test_published_names_work_with_ip_netns(on_a_host) -> None:
    """The point of it: every tutorial's `ip netns exec`, from outside the lab."""

    def test(commands: Commands) -> None:
        assert not NAMES.exists(), "premise: nobody has used `ip netns` before"
        commands.run("up", "--publish", str(commands.file))

        inside = json.loads(commands.on("get", "pods", "-o", "json"))
        assert "1024:\tfrom all fwmark" in ip(
            "netns", "exec", f"{commands.name}.node-1", "ip", "rule"
        )
        assert inside[0]["ip"] in ip("-n", f"{commands.name}.web-0", "address")
        assert f"{commands.name}.vpc-main" in ip("netns", "list")
        assert {name.partition(".")[0] for name in published()} == {commands.name}

        commands.down()
        assert published() == set()

    on_a_host(test)


def test_nothing_is_published_unasked(on_a_host) -> None:
    def test(commands: Commands) -> None:
        commands.up()
        assert published() == set()

        commands.run("up", "--publish", str(commands.file))
        assert f"{commands.name}.web-0" in published(), "a running lab too"

        commands.run("up", "--no-publish", str(commands.file))
        assert published() == set()

    on_a_host(test)


def test_the_environment_asks_as_well(on_a_host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A virtual machine sets TESTBED_PUBLISH=1."""
    monkeypatch.setenv("TESTBED_PUBLISH", "1")

    def test(commands: Commands) -> None:
        commands.up()
        assert f"{commands.name}.node-1" in published()

    on_a_host(test)


def test_names_follow_a_lab_that_changes(on_a_host) -> None:
    """A descriptor's number is used again: an old name must not lead to a new pod."""

    def test(commands: Commands) -> None:
        commands.run("up", "--publish", str(commands.file))
        text = commands.file.read_text()
        commands.file.write_text(text.replace("      client: { node: node-2 }", "      late: {}"))
        commands.up()

        assert f"{commands.name}.client" not in published()
        address = json.loads(commands.on("get", "pods", "late", "-o", "json"))[0]["ip"]
        assert address in ip("-n", f"{commands.name}.late", "address")
        assert "10.0.1." in ip("-n", f"{commands.name}.web-0", "address")

    on_a_host(test)


@pytest.mark.parametrize("running", [False, True], ids=["a new lab", "a running lab"])
def test_a_name_of_somebody_else_is_an_error_and_stays(on_a_host, running: bool) -> None:
    """Before anything is changed: the lab is as it was, and so is the name."""

    def test(commands: Commands) -> None:
        if running:
            commands.up()
        before = Home(commands.name).holder()
        NAMES.mkdir(exist_ok=True)
        file, link = NAMES / f"{commands.name}.web-0", NAMES / f"{commands.name}.mine"
        file.touch()
        link.symlink_to("/proc/self/ns/net")

        errors = commands.run("up", "--publish", str(commands.file), code=2)

        assert "is not this lab's" in errors
        assert Home(commands.name).holder() == before
        assert published() == {file.name, link.name}
        commands.down()
        commands.run("clean")
        assert published() == {file.name, link.name}

    on_a_host(test)


def test_clean_removes_the_names_of_a_dead_lab(on_a_host) -> None:
    """The holder killed: its names lead nowhere."""

    def test(commands: Commands) -> None:
        commands.run("up", "--publish", str(commands.file))
        kill(Home(commands.name).holder())
        (NAMES / "other.web-0").symlink_to("/proc/1/fd/999")
        assert f"{commands.name}.web-0" in published(), "premise: they are still there"

        commands.run("clean")

        assert published() == {"other.web-0"}, "a prefix of no lab we know"

    on_a_host(test)


def test_a_process_id_used_again_does_not_keep_a_name(on_a_host) -> None:
    """The record has the first process' start time: the same id is another process by now."""

    def test(commands: Commands) -> None:
        home = Home(commands.name)
        home.make()
        home.record_holder(replace(Process.of(os.getpid()), started=1))
        NAMES.mkdir()
        (NAMES / f"{commands.name}.web-0").symlink_to(f"/proc/{os.getpid()}/fd/1")

        commands.run("clean")

        assert published() == set()

    on_a_host(test)


def test_a_new_lab_replaces_the_names_of_a_dead_one(on_a_host) -> None:
    """After a crash: with and without --publish no old name is left."""

    def test(commands: Commands) -> None:
        commands.run("up", "--publish", str(commands.file))
        kill(Home(commands.name).holder())
        commands.run("up", "--publish", str(commands.file))
        assert "10.0.1." in ip("-n", f"{commands.name}.web-0", "address")

        kill(Home(commands.name).holder())
        commands.up()
        assert published() == set()

    on_a_host(test)
