"""up, down, ls, clean: a lab comes, stays, changes and goes, and leaves nothing."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.daemon.process.home import Home
from testbed.errors import UsageError
from tests import ordinary
from tests.cli.conftest import Commands
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel
LIFETIME = re.compile(r" expires \d+sec")  # what a real router told counts down


def host_network() -> str:
    """Everything of the machine's own network a lab could have touched, as text."""
    argvs = (["ip", "-o", "link"], ["ip", "route", "show", "table", "all"], ["ip", "rule"])
    links = [subprocess.run(argv, capture_output=True, text=True, check=True) for argv in argvs]
    return LIFETIME.sub("", "".join(done.stdout for done in links))


def test_up_and_down_leave_the_machine_as_it_was(commands: Commands) -> None:
    before = host_network()

    commands.up()
    during = host_network()
    commands.down()

    assert during == before
    assert host_network() == before
    assert not Home(commands.name).path.exists()
    assert not commands.running()


def test_up_twice_reconciles_and_down_twice_is_fine(commands: Commands) -> None:
    commands.up()
    holder = Home(commands.name).holder()
    commands.up()

    assert Home(commands.name).holder() == holder, "the same lab, not a new one"
    assert "down" in commands.down()
    assert "was not running" in commands.down()


def test_a_running_lab_is_changed_without_renumbering(commands: Commands) -> None:
    """A pod more, a pod less: the others keep addresses and namespaces."""
    commands.up()
    before = {
        row["name"]: row["ip"] for row in json.loads(commands.on("get", "pods", "-o", "json"))
    }

    text = commands.file.read_text()
    commands.file.write_text(text.replace("      client: { node: node-2 }", "      late: {}"))
    commands.up()

    after = {
        row["name"]: row["ip"] for row in json.loads(commands.on("get", "pods", "-o", "json"))
    }
    assert after.keys() == {"web-0", "web-1", "late"}
    assert all(after[name] == before[name] for name in ("web-0", "web-1"))
    commands.on("verify")
    commands.on("matrix", "-p", "http")
    assert 'no "client"' in commands.on("exec", "client", "--", "true", code=2)


def test_what_somebody_broke_is_named_and_healed(commands: Commands) -> None:
    """The README's story in small."""
    commands.up()
    commands.on("exec", "node-1", "--", "ip", "rule", "del", "pref", "512")

    assert "from all to" in commands.on("verify", code=1)
    commands.up()
    commands.on("verify")


def test_up_without_a_file_outside_the_testbeds_folder_says_which_one_it_means(
    commands: Commands,
) -> None:
    process = commands.start("up", cwd=commands.file.parent)
    errors = process.communicate(timeout=PATIENCE_S)[1]

    assert process.returncode == 2
    assert errors.startswith("error: which FILE? topologies/eks.yaml, meant where none is named")


def test_a_lost_namespace_is_made_again(commands: Commands) -> None:
    """Somebody takes a whole device away: both ends come back."""
    commands.up()
    commands.on("exec", "web-0", "--", "ip", "link", "del", "eth0")

    assert "web-0" in commands.on("verify", code=1)
    commands.up()
    commands.on("verify")
    commands.on("ping", "web-0", "client")


def test_packets_flow_without_the_daemon_and_up_starts_a_new_one(commands: Commands) -> None:
    commands.up()
    address = json.loads(commands.on("get", "pods", "client", "-o", "json"))[0]["ip"]

    commands.kill_daemon()

    commands.on("exec", "web-0", "--", "ping", "-c1", "-W30", address)
    assert "testbed up" in commands.on("verify", code=4)
    commands.up()
    commands.on("verify")
    commands.on("matrix", "-p", "http")


def test_ctrl_c_during_up_leaves_nothing(commands: Commands) -> None:
    """Interrupted as soon as the lab's directory is there."""
    process = commands.start("up", str(commands.file))
    while not Home(commands.name).path.exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_S)

    assert process.returncode in (0, 130), "0: it was through already"
    if process.returncode:
        assert not Home(commands.name).path.exists()
        assert not commands.running()


def test_ctrl_c_while_modules_are_loaded_says_nothing(tmp_path: Path) -> None:
    """Nothing is begun yet, and Python's traceback of an import would tell nobody anything."""
    module = "import signal\nprint('loading', flush=True)\nsignal.pause()\n"
    (tmp_path / "click.py").write_text(module)
    process = subprocess.Popen(
        [sys.executable, "-m", "testbed", "ls"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "loading\n"

    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)

    assert (process.returncode, errors) == (-signal.SIGINT, "")


@pytest.mark.parametrize("after", ["directory", "holder.json", "holder.sock", "daemon.sock"])
def test_a_killed_up_leaves_no_process(commands: Commands, after: str) -> None:
    """kill -9 at several moments: the holder notices the end of its lifeline."""
    home = Home(commands.name)
    awaited = home.path if after == "directory" else home.path / after
    process = commands.start("up", str(commands.file))
    while not awaited.exists() and process.poll() is None:
        pass
    process.kill()
    process.communicate(timeout=PATIENCE_S)

    for _ in range(100):  # each `ls` takes some 100 ms
        if not commands.running() or home.applied.exists():
            break
    commands.up()
    commands.on("verify")


def test_two_ups_at_once_end_in_one_lab(commands: Commands) -> None:
    both = [commands.start("up", str(commands.file)) for _ in range(2)]
    codes = []
    for process in both:
        process.communicate(timeout=PATIENCE_S)
        codes.append(process.returncode)

    assert 0 in codes
    assert set(codes) <= {0, 2}, "the other was told to wait, or came after"
    commands.on("verify")


def test_an_empty_name_is_no_name(commands: Commands) -> None:
    """`--name "$NAME"` where nobody has set it; it is not as if nothing had been said."""
    assert "cannot be a name" in commands.run("up", "--name", "", str(commands.file), code=2)
    assert "no lab named ''" in commands.run("get", "pods", "-l", "", code=2)
    assert "'../x' is no name" in commands.run("down", "../x", code=2)


def test_a_wrong_file_changes_nothing(commands: Commands) -> None:
    commands.up()
    good = commands.file.read_text()
    commands.file.write_text(good.replace("instanceType: t3.small", "instanceType: t3.smal", 1))

    errors = commands.run("up", str(commands.file), code=2)

    line = 1 + commands.file.read_text().splitlines().index(
        "      node-1: { subnet: a, instanceType: t3.smal }"
    )
    assert f"{commands.file}:{line}:" in errors
    assert "t3.small" in errors
    commands.on("verify")


def test_a_failure_inside_the_kernel_puts_the_running_lab_back(commands: Commands) -> None:
    """The new lab's pod finds no room for its port: it is taken by somebody else in the node."""
    commands.up()
    text = commands.file.read_text()
    commands.file.write_text(f"{text}      host: {{ node: node-2, hostNetwork: true }}\n")
    taken = commands.start("exec", "-l", commands.name, "node-2", "--", "python3", "-c", OCCUPY)
    assert taken.stdout is not None
    assert taken.stdout.readline() == "taken\n"

    errors = commands.run("up", str(commands.file), code=5)
    taken.communicate("", timeout=PATIENCE_S)

    assert "80" in errors
    commands.file.write_text(text)
    commands.on("verify")
    assert "host" not in [r["name"] for r in json.loads(commands.on("get", "pods", "-o", "json"))]


OCCUPY = "import socket; s = socket.create_server(('', 80)); print('taken', flush=True); input()"


def test_an_ordinary_user_is_told_that_a_lab_is_roots(commands: Commands, tmp_path: Path) -> None:
    """Without sudo: its name, one clear message, exit code 4, and nothing of what is in it."""
    ordinary.skip_unless_possible()
    commands.up()

    for code, *words in (
        (0, "ls"),
        (4, "verify", "-l", commands.name),
        (4, "down", commands.name),
    ):
        process = commands.start(*words, user=ordinary.USER, env={"PATH": str(tmp_path)})
        output, errors = process.communicate(timeout=PATIENCE_S)

        assert process.returncode == code, errors
        assert commands.name in output + errors
        assert "root" in output + errors
        assert words != ["ls"] or f"sudo {sys.executable} -m testbed ls" in output
    assert commands.running()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", "UPPER", "x" * 64])
def test_no_name_of_a_lab_is_ever_a_path(commands: Commands, name: str) -> None:
    """`down ..` must not even look for a directory."""
    with pytest.raises(UsageError):
        Home(name)
    commands.run("down", "--", name, code=2)


def test_the_holder_outlives_clients_that_talk_nonsense(commands: Commands) -> None:
    """The end of process 1 would be the end of the lab."""
    commands.up()
    home = Home(commands.name)
    for message in (
        b"{not json",
        b"[]",
        b'{"keep": ["x"]}',
        b'{"drop": [["x"]]}',
        b'{"drop": []}',
    ):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.connect(str(home.holder_socket))
            client.send(message)

    commands.on("verify")
