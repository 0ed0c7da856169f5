"""Who may talk to a lab, what listens, and as whom a command goes on: SECURITY.md."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.daemon.process.home import Home
from testbed.kernel.machine.processes import pid_namespace
from testbed.kernel.machine.scratch import in_child
from testbed.kernel.namespaces.enter import entered
from tests import ordinary
from tests.cli.conftest import Commands
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

LISTENING_FLAG = 0x10000  # __SO_ACCEPTCON, linux/net.h


def answer(path: Path, kind: socket.SocketKind, words: bytes) -> bytes:
    """What comes back over a lab's socket; nothing where one is sent away."""
    with socket.socket(socket.AF_UNIX, kind) as connection:
        connection.settimeout(PATIENCE_S)
        connection.connect(str(path))
        try:
            connection.sendall(words)
            return connection.recv(4096)
        except ConnectionError:
            return b""


DAEMON = ("socket", socket.SOCK_STREAM, b'{"verb": "get", "args": {"kind": "nodes"}}\n')
HOLDER = ("holder_socket", socket.SOCK_SEQPACKET, b'{"drop": []}')


@pytest.mark.parametrize(("name", "kind", "words"), [DAEMON, HOLDER], ids=["daemon", "holder"])
def test_a_lab_answers_its_owner_only(lab: Commands, name, kind, words) -> None:
    """Even where somebody has loosened every mode: the kernel says who is there."""
    ordinary.skip_unless_possible()
    home = Home(lab.name)
    path = getattr(home, name)
    assert path.stat().st_mode & 0o777 == 0o600
    assert home.path.stat().st_mode & 0o777 == 0o700
    assert answer(path, kind, words), "premise: root gets an answer"

    def as_another() -> bytes:
        ordinary.become()
        return answer(path, kind, words)

    with pytest.raises(PermissionError):
        in_child(as_another)
    home.path.chmod(0o755)
    path.chmod(0o666)
    try:
        assert in_child(as_another) == b""
    finally:
        path.chmod(0o600)
        home.path.chmod(0o700)


def processes(lab: Commands) -> list[str]:
    """The lab's processes: those in its pid namespace."""
    holder = Home(lab.name).holder()
    assert holder is not None
    inside = pid_namespace(holder.pid)
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and pid_namespace(entry.name) == inside:
                found.append(entry.name)
        except OSError:
            continue
    return found


def sockets(pid: str) -> Iterator[str]:
    """The inodes of a process' sockets."""
    for descriptor in Path("/proc", pid, "fd").iterdir():
        if match := re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink())):
            yield match[1]


def test_no_socket_of_a_lab_is_in_the_machines_network(lab: Commands) -> None:
    """TCP, UDP, raw and packet sockets: every one is inside."""
    tables = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet")
    machines = {
        inode
        for table in tables
        if Path("/proc/net", table).exists()
        for line in Path("/proc/net", table).read_text().splitlines()[1:]
        for inode in re.findall(r"\b\d+\b", line)
    }

    ours = {pid: set(sockets(pid)) for pid in processes(lab)}

    assert sum(map(len, ours.values())) > 10, "premise: pods are served"
    assert {pid: found & machines for pid, found in ours.items() if found & machines} == {}


def unix_listeners() -> set[str]:
    """The names of the Unix sockets that listen in the network namespace of this thread."""
    lines = Path("/proc/thread-self/net/unix").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    return {" ".join(row[7:]) for row in rows if int(row[3], 16) & LISTENING_FLAG}


def test_what_listens_for_the_outside_is_in_the_labs_directory(lab: Commands) -> None:
    """Daemon, holder, each haproxy's statistics: nothing abstract, nothing anywhere else."""
    home = Home(lab.name)
    holder = home.holder()
    assert holder is not None
    inside = Path(f"/proc/{holder.pid}")
    names = [name.readlink().name for name in (inside / "root/run/netns").iterdir()]
    found: set[str] = set()
    for file in (inside / "ns/net", *[inside / "fd" / name for name in names]):
        namespace = os.open(file, os.O_RDONLY)
        with entered(namespace):
            found |= unix_listeners()
        os.close(namespace)

    absolute = {name for name in found if name.startswith("/")}
    assert {str(home.socket), str(home.holder_socket)} <= absolute
    assert all(name.startswith(f"{home.path}/") for name in absolute)
    assert not [name for name in found if name.startswith("@")]


@pytest.fixture
def user() -> Iterator[Path]:
    """The directory of an ordinary user."""
    ordinary.skip_unless_possible()
    with ordinary.home() as directory:
        (directory / "bin").mkdir()
        yield directory


SUDO = """\
#!/bin/sh
# What sudo -n does, but for becoming root: it refuses, or runs the command.
[ "$1" = -n ] && shift
{refusal}
if [ "$1" = true ]; then exit 0; fi
printf '%s\\n' "$@"
"""


def with_sudo(user: Path, refusal: str = "") -> None:
    """Give the user a sudo that prints what it is told to run."""
    sudo = user / "bin/sudo"
    sudo.write_text(SUDO.format(refusal=refusal))
    sudo.chmod(0o755)


def run(user: Path, *words: str, cwd: Path | None = None, **environment: str) -> tuple[int, str]:
    """The command line as that user, without a terminal: its exit code and all it says."""
    path = f"{user / 'bin'}:/usr/bin:/bin"
    identity = ordinary.identity(user, PATH=path, **environment)
    argv = [sys.executable, "-P", "-m", "testbed", *words]
    done = subprocess.run(
        argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S, check=False, **identity,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_sudo_comes_before_a_lab_of_ones_own(user: Path, topologies: Path) -> None:
    """The same program, settings by name, and no module from where the user happens to be."""
    with_sudo(user)

    code, said = run(user, "up", str(topologies / "eks.yaml"), TESTBED_PUBLISH="1", SECRET="x")

    words = said.splitlines()
    assert code == 0
    assert words[0] == "env"
    assert words[words.index(sys.executable) :] == [
        sys.executable, "-P", "-m", "testbed", "up", str(topologies / "eks.yaml"),
    ]  # fmt: skip
    assert "TESTBED_PUBLISH=1" in words
    assert not [word for word in words if word.startswith(("SECRET", "TESTBED_INSIDE"))]


def test_a_sudo_that_refuses_is_named_and_the_lab_is_the_users_own(
    user: Path, topologies: Path
) -> None:
    with_sudo(user, refusal='echo "sudo: a password is required" >&2; exit 1')
    try:
        code, said = run(user, "up", "--name", "refused", str(topologies / "eks-slides.yaml"))
        assert code == 0, said
        assert "a password is required" in said
    finally:
        assert "lab refused: down" in run(user, "down", "refused")[1]


def test_rootless_leaves_sudo_out(user: Path, topologies: Path) -> None:
    with_sudo(user, refusal="echo sudo was asked; exit 1")
    try:
        file = str(topologies / "eks-slides.yaml")
        code, said = run(user, "up", "--rootless", "--name", "asked", file)
        assert code == 0, said
        assert "sudo was asked" not in said
        code, said = run(user, "verify")
        assert code == 0, "a lab of one's own needs none either"
    finally:
        run(user, "down", "asked")


def test_root_has_no_use_for_rootless(tmp_path: Path, topologies: Path) -> None:
    commands = Commands(tmp_path)

    assert "ordinary users" in commands.run("up", "--rootless", str(commands.file), code=2)


def test_the_working_directory_is_nobodys_way_to_root(user: Path, topologies: Path) -> None:
    """`python -m testbed` alone would import a `click.py` from there.

    This sudo runs the command, but as the same user: it is not asked a second time.
    """
    with_sudo(user, refusal='[ "$1" = true ] || exec "$@"')
    trap = user / "trap"
    trap.mkdir()
    (trap / "click.py").write_text("raise SystemExit('trapped')\n")
    try:
        file = str(topologies / "eks-slides.yaml")
        code, said = run(user, "up", "--name", "again", file, cwd=trap)
        assert code == 0, said
        assert "there is no sudo here" in said
    finally:
        run(user, "down", "again")
