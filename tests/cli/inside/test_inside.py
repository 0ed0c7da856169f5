"""exec and shell: programs in a lab, with their own exit codes, names and terminal."""

import os
import pty
import signal
import sys

import pytest

from tests.cli.conftest import Commands

pytestmark = pytest.mark.kernel


def test_exec_runs_a_program_in_a_pod(lab: Commands) -> None:
    assert "10.0.1." in lab.on("exec", "web-0", "--", "ip", "-4", "-br", "addr", "show", "eth0")


def test_exec_gives_the_programs_exit_code(lab: Commands) -> None:
    lab.on("exec", "web-0", "--", "sh", "-c", "exit 7", code=7)
    lab.on("exec", "web-0", "--", "sh", "-c", "kill -9 $$", code=128 + signal.SIGKILL)
    assert "command not found" in lab.on("exec", "web-0", "--", "no-such-program", code=127)


def test_exec_passes_words_with_dashes_through(lab: Commands) -> None:
    assert lab.on("exec", "web-0", "--", "echo", "-l", "--", "-n") == "-l -- -n\n"
    assert lab.on("exec", "web-0", "echo", "-n", "x") == "x"


def test_exec_takes_globs_and_says_whose_output_it_is(lab: Commands) -> None:
    output = lab.on("exec", "web-*", "client", "--", "hostname", "-I")

    assert [line for line in output.splitlines() if line.startswith("---")] == [
        "--- web-0",
        "--- web-1",
        "--- client",
    ]


def test_exec_names_what_there_is_when_a_name_is_wrong(lab: Commands) -> None:
    assert "client" in lab.on("exec", "clint", "--", "true", code=2)


def test_exec_passes_standard_input(lab: Commands) -> None:
    assert lab.on("exec", "web-0", "--", "cat", stdin="through\n") == "through\n"


def test_sys_and_proc_are_the_namespaces_own(lab: Commands) -> None:
    """`ls /sys/class/net` shows the pod's devices, `ps` the lab's processes."""
    assert lab.on("exec", "web-0", "--", "ls", "/sys/class/net").split() == ["eth0", "lo"]
    assert "holder.py" in lab.on("exec", "web-0", "--", "cat", "/proc/1/cmdline")


def test_a_shell_in_the_lab_has_ip_netns(lab: Commands) -> None:
    output = lab.on("shell", stdin="ip netns exec node-1 ip rule; ip netns list\n")

    assert "1024:\tfrom all fwmark 0x80/0x80 lookup main" in output
    assert {"web-0", "node-1", "vpc-main", "internet"} <= set(output.split())


def test_a_shell_in_a_pod_reads_commands(lab: Commands) -> None:
    assert "10.0.2." in lab.on("shell", "client", stdin="ip -4 -br addr show eth0\n")


def test_verbs_work_inside_a_lab_too(lab: Commands) -> None:
    assert "client" in lab.on("shell", stdin=f"{sys.executable} -m testbed get pods\n")


def test_a_namespace_that_a_user_adds_in_a_shell_is_no_part_of_the_lab(lab: Commands) -> None:
    """Every tutorial begins with `ip netns add`: the lab is as planned for all that."""
    output = lab.on("shell", stdin="ip netns add mine; ip netns exec mine ip link\n")

    assert "LOOPBACK" in output
    lab.on("verify")


def test_a_script_for_mininets_prompt_has_an_exit_code(lab: Commands) -> None:
    """2 for what the prompt does not understand, a testbed verb's own; programs' do not count."""
    assert "Unknown command: bogus" in lab.on("mininet", "-c", "bogus", code=2)
    assert "gizmos" in lab.on("mininet", "-c", "get gizmos", code=2)
    assert "no such option" in lab.on("mininet", "-c", "get pods --no-such", code=2).lower()
    lab.on("mininet", "-c", "path web-0 10.0.1.77", code=1)
    lab.on("mininet", "-c", "web-0 false", "-c", "pods")


def test_ctrl_c_ends_the_program_and_not_the_lab(lab: Commands) -> None:
    """^C on a terminal reaches the program inside; exec ends with its status."""
    pid, terminal = pty.fork()
    if pid == 0:
        words = ["exec", "-l", lab.name, "web-0", "--", "sh", "-c", "echo ready; sleep 60"]
        os.execv(sys.executable, [sys.executable, "-m", "testbed", *words])
    assert b"ready" in _read_until(terminal, b"ready")

    os.write(terminal, b"\x03")

    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    assert status == 128 + signal.SIGINT
    lab.on("ping", "web-0", "client")


def _read_until(terminal: int, awaited: bytes) -> bytes:
    received = b""
    while awaited not in received:
        received += os.read(terminal, 1024)
    return received


def test_exec_knows_host_network_and_pending_pods(commands: Commands) -> None:
    """The one is in its node, the other nowhere, and why."""
    agent = (
        "      agent: { node: node-2, hostNetwork: true, containers: { a: { ports: [9100] } } }"
    )
    many = "      many: { node: node-2, replicas: 12 }"
    commands.file.write_text(f"{commands.file.read_text()}{agent}\n{many}\n")
    commands.up()

    assert "eth0" in commands.on("exec", "agent", "--", "ip", "-br", "link")
    assert "Too many pods" in commands.on("exec", "many-11", "--", "true", code=2)
