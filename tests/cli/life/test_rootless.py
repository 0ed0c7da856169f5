"""An ordinary user's labs: everything a lab is for, without root and without sudo."""

import json
import os
import select
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.daemon.process.home import Home
from tests import ordinary
from tests.cli.conftest import Commands, OnAHost
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel


class RootlessCommands(Commands):
    """The command line as an ordinary user runs it, who has no sudo."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.directory = directory

    @property
    def home(self) -> Home:
        """The lab's files."""
        return Home(self.name, self.directory / "testbed")

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """A verb, started."""
        path = "/nowhere:/root"  # no sudo, and a directory that only root may read
        return super().start(*words, **ordinary.identity(self.directory, PATH=path), **options)


@pytest.fixture(scope="module")
def user() -> Iterator[Path]:
    """The directory of an ordinary user."""
    ordinary.skip_unless_possible()
    with ordinary.home() as directory:
        yield directory


@pytest.fixture(scope="module")
def mine(user: Path) -> Iterator[RootlessCommands]:
    """Commands on a user's lab that is up."""
    given = RootlessCommands(user)
    given.up()
    yield given
    given.down()


def test_its_packets_arrive_as_in_roots(mine: RootlessCommands) -> None:
    mine.on("matrix", "-p", "icmp")
    mine.on("matrix", "-p", "http")
    mine.on("verify")


def test_their_way_is_told_as_in_roots(mine: RootlessCommands) -> None:
    assert "rule" in mine.on("path", "web-0", "client").lower()
    assert "observed" in mine.on("explain", "web-0", "client")


def test_names_services_and_balancers_are_real_programs(mine: RootlessCommands) -> None:
    """dnsmasq answers, kube-proxy's rules translate."""
    seen = mine.on("exec", "client", "--", "curl", "-sS", "--max-time", "30", "http://web/")

    assert json.loads(seen)["pod"] in ("web-0", "web-1")


def test_inside_the_user_is_root_and_outside_nobody_else(mine: RootlessCommands) -> None:
    """What a pod writes is the user's; what the user may not read a pod may not either."""
    written = mine.directory / "written"

    mine.on("exec", "web-0", "--", "sh", "-c", f"id -u; id -u > {written}")

    assert written.read_text() == "0\n"
    assert written.stat().st_uid == ordinary.USER
    mine.on("exec", "web-0", "--", "cat", "/etc/shadow", code=1)


def test_programs_that_give_up_root_still_work(mine: RootlessCommands) -> None:
    """tcpdump becomes the user tcpdump, who does not exist there."""
    listening = mine.start("exec", "-l", mine.name, "node-1", "--", "tcpdump", "-c1", "-ni", "lo")
    assert listening.stderr is not None
    for line in listening.stderr:
        if "listening" in line:
            break
    mine.on("exec", "node-1", "--", "ping", "-c1", "-W30", "127.0.0.1")
    output, errors = listening.communicate(timeout=PATIENCE_S)

    assert listening.returncode == 0, errors
    assert "ICMP echo request" in output


def test_a_program_that_is_not_there_is_not_found(mine: RootlessCommands) -> None:
    """Though PATH has a directory that may not be read."""
    said = mine.on("exec", "web-0", "--", "no-such-program", code=127)

    assert "no-such-program: command not found" in said


def test_the_prompt_and_the_shell_are_there(mine: RootlessCommands) -> None:
    assert "1 received" in mine.on("mininet", "-c", "web-0 ping -c1 client")
    assert "32766:" in mine.on("shell", stdin="ip netns exec node-1 ip rule\n")


def test_only_its_user_reaches_the_files(mine: RootlessCommands) -> None:
    modes = {file.name: stat.S_IMODE(file.lstat().st_mode) for file in mine.home.path.iterdir()}

    assert stat.S_IMODE(mine.home.path.stat().st_mode) == 0o700
    assert modes["daemon.sock"] == 0o600


def test_names_on_the_host_are_for_root(mine: RootlessCommands) -> None:
    assert "only root" in mine.run("up", "--publish", str(mine.file), code=4)
    mine.on("verify")


def test_nothing_is_left(user: Path) -> None:
    commands = RootlessCommands(user)
    commands.name = f"{commands.name}-gone"
    commands.run("up", "--name", commands.name, str(commands.file))
    holder = commands.home.holder()
    assert holder is not None

    commands.down()

    assert not holder.alive()
    assert not commands.home.path.exists()
    assert not processes_of(commands.name)
    assert "was not running" in commands.down()


def test_a_lab_without_its_files_ends(user: Path) -> None:
    """systemd removes /run/user/UID with the last session: nobody could end the lab."""
    commands = RootlessCommands(user)
    commands.name = f"{commands.name}-lost"
    commands.run("up", "--name", commands.name, str(commands.file))
    holder = commands.home.holder()
    assert holder is not None

    with holder.held() as handle:
        shutil.rmtree(commands.home.path)
        ends = select.poll()
        ends.register(handle, select.POLLIN)
        assert ends.poll(30_000)


@pytest.mark.parametrize("lab", ["eks", "kops"])
def test_make_brings_both_labs_up_without_sudo(user: Path, topologies: Path, lab: str) -> None:
    """`make eks-topology`, on a machine where all is installed."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    commands = RootlessCommands(user)
    identity = ordinary.identity(user, TESTBED_ROOTLESS="1", TESTBED_PROMPT="0")
    argv = ["make", "--old-file=setup", f"{lab}-topology"]
    try:
        said = subprocess.check_output(
            argv,
            cwd=topologies.parent,
            text=True,
            timeout=120,
            stderr=subprocess.STDOUT,
            **identity,
        )
        commands.run("verify", "-l", lab)
    finally:
        commands.run("down", lab)

    assert "checks passed  ok" in said


def processes_of(lab: str) -> list[str]:
    """The user's processes that name a lab on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and entry.stat().st_uid == ordinary.USER:
                found.append((entry / "cmdline").read_text())
        except OSError:
            continue
    return [line for line in found if lab in line]


def test_an_up_that_is_killed_leaves_nothing(user: Path) -> None:
    commands = RootlessCommands(user)
    commands.name = f"{commands.name}-killed"
    process = commands.start("up", "--name", commands.name, str(commands.file))
    while not (commands.home.path / "holder.json").exists() and process.poll() is None:
        pass
    process.kill()
    process.communicate(timeout=PATIENCE_S)

    recorded = commands.home.recorded_holder()
    while recorded and recorded.alive() and not commands.home.applied.exists():
        pass
    commands.down()
    assert not commands.home.path.exists()
    assert not processes_of(commands.name)


def test_roots_labs_are_not_in_the_way_of_a_program_that_is_root_only_inside(
    on_a_users_host: OnAHost,
) -> None:
    """`make test` without sudo, where root has labs: `up` would refuse /run/testbed."""

    def test(commands: Commands) -> None:
        argv = [sys.executable, "-m", "testbed.kernel.rootless", sys.executable, "-m", "testbed"]
        done = subprocess.run([*argv, "ls", "-o", "json"], capture_output=True, check=False)

        assert (done.returncode, done.stdout) == (0, b"[]\n"), done.stderr

    on_a_users_host(test)


TRAP = Path("/tmp", f"testbed-{ordinary.USER}")  # where a user without XDG_RUNTIME_DIR looks


def refused(user: Path, *words: str) -> str:
    """What a user without XDG_RUNTIME_DIR is told."""
    commands = RootlessCommands(user)
    identity = ordinary.identity(user, XDG_RUNTIME_DIR="")
    process = Commands.start(commands, *words, cwd=user, **identity)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2, errors
    return errors


@pytest.mark.parametrize("words", [("up", "lab.yaml"), ("ls",), ("shell", "web-0"), ("clean",)])
def test_somebody_elses_directory_is_not_used(user: Path, words: tuple[str, ...]) -> None:
    """They could read and write there.  A verb that only looks believes nothing of it either."""
    TRAP.mkdir()
    try:
        os.chown(TRAP, ordinary.NEIGHBOUR, ordinary.NEIGHBOUR)
        assert str(TRAP) in refused(user, *words)
    finally:
        TRAP.rmdir()


def test_a_link_is_no_directory_of_ones_own(user: Path) -> None:
    """Whoever made it can make it lead elsewhere, at any moment."""
    TRAP.symlink_to(user)
    try:
        assert str(TRAP) in refused(user, "ls")
    finally:
        TRAP.unlink()


def test_root_of_somebody_elses_user_namespace_has_labs_too(on_a_host: OnAHost) -> None:
    """`unshare --map-root-user`, containers of one user: dnsmasq may not change groups there."""
    ordinary.skip_unless_possible()

    def test(commands: Commands) -> None:
        script = (
            "mount -t tmpfs tmpfs /run && mkdir -m 700 /run/testbed && $0 -m testbed up $1"
            " && $0 -m testbed matrix -p http && $0 -m testbed down --all"
        )
        argv = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
        subprocess.run([*argv, sys.executable, str(commands.file)], timeout=PATIENCE_S, check=True)

    on_a_host(test)
