"""Mininet's own `mn` over a lab: it works, ends cleanly, and never cleans up the machine."""

import signal

import pytest

from tests.mininet.mn import CUSTOM, MN, Ended, Program, on_a_machine, shows, start
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

RAISES = "raise RuntimeError('a slip of the pen')\n"
INSTALL = "from testbed.mininet import custom\ncustom.install()\n"


def mn(*options: str) -> Ended:
    """`mn` with our custom file."""
    return on_a_machine(MN, "--custom", CUSTOM, *options)


def test_pingall_over_the_lab_of_eks_yaml_loses_nothing() -> None:
    """With nothing but Mininet's package from PyPI: no mnexec, no Open vSwitch."""
    ended = mn("--topo", "eks", "--test", "pingall")

    assert "web-4 -> web-0 web-1 web-2 web-3 client api monitoring.node-exporter" in ended.printed
    assert "*** Results: 0% dropped (56/56 received)" in ended.printed
    assert ended.code == 0
    assert (ended.labs, ended.processes) == ([], [])
    assert ended.innocent


def test_the_lab_has_as_many_nodes_and_pods_as_one_asks_for() -> None:
    ended = mn("--topo", "eks,2,3", "--test", "pingall")

    assert "pod-2-3 -> pod-1-1 pod-1-2 pod-1-3 pod-2-1 pod-2-2" in ended.printed
    assert "*** Results: 0% dropped (30/30 received)" in ended.printed


def test_its_prompt_has_the_testbeds_verbs_too() -> None:
    def act(program: Program) -> str:
        return program.communicate(
            "web-0 ping -c1 -W30 client\nverify\nexit\n", timeout=PATIENCE_S
        )[0]

    ended = on_a_machine(MN, "--custom", CUSTOM, "--topo", "eks", act=act)

    assert "1 packets transmitted, 1 received, 0% packet loss" in ended.printed
    assert "facts as planned" in ended.printed
    assert (ended.code, ended.labs, ended.processes) == (0, [], [])


def test_a_killed_mn_takes_its_lab_with_it() -> None:
    """Nothing runs on, nothing is in any namespace; its files wait for the next one."""

    def act(program: Program) -> str:
        assert program.stdin is not None
        program.stdin.write("web-0 sleep 1000 &\nweb-0 echo started\nweb-1 sleep 1000\n")
        program.stdin.flush()
        printed = shows(program, "started")
        program.kill()
        return printed

    ended = on_a_machine(MN, "--custom", CUSTOM, "--topo", "eks", act=act)

    assert ended.code == -signal.SIGKILL
    assert ended.processes == []


def test_ctrl_c_ends_the_lab_and_harms_nobody() -> None:
    """`mn` itself would call its clean-up of the whole machine."""

    def act(program: Program) -> str:
        printed = shows(program, "*** Lab eks-mn-")
        program.send_signal(signal.SIGINT)
        return printed + program.communicate(timeout=PATIENCE_S)[0]

    ended = on_a_machine(MN, "--custom", CUSTOM, "--topo", "eks", act=act)

    assert ended.code == 130
    assert (ended.labs, ended.processes) == ([], [])
    assert ended.innocent


def test_another_terminal_can_take_its_lab_down() -> None:
    """While it waits for a command: its shells end, and it buries them."""

    def act(program: Program) -> str:
        assert program.stdin is not None
        name = shows(program, "*** Lab eks-mn-").split()[2].rstrip(":")
        program.stdin.write("web-0 echo started\n")
        program.stdin.flush()
        shows(program, "started")
        down = start("-m", "testbed", "down", name)
        printed = down.communicate(timeout=PATIENCE_S)[0]
        assert down.returncode == 0, printed
        return (
            printed + program.communicate("web-0 echo on\nweb-1 echo on\n", timeout=PATIENCE_S)[0]
        )

    ended = on_a_machine(MN, "--custom", CUSTOM, "--topo", "eks", act=act)

    assert "no shell in web-1" in ended.printed
    assert (ended.code, ended.labs, ended.processes) == (0, [], [])


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--topo", "eks,many"], 2, "error: --topo eks,many: "),
        (["--topo", "nope"], 2, "error: --topo nope: Invalid topo name nope"),
        ([], 2, "error: this `mn` builds labs"),
        (["--topo", "eks", "--nat"], 2, "UsageError: a lab is what its topology says"),
        (["--topo", "eks", "--test", "nope"], 1, "Exception: Test nope is unknown"),
        (["--topo", "eks", "--pre", "/nowhere"], 2, "error: /nowhere: no such file"),
        (["--clean"], 0, "*** Nothing to clean"),
    ],
)
def test_what_goes_wrong_is_said_and_harms_nobody(
    options: list[str], code: int, message: str
) -> None:
    ended = mn(*options)

    assert message in ended.printed
    assert ended.code == code
    assert (ended.labs, ended.processes) == ([], [])
    assert ended.innocent


@pytest.mark.parametrize("safe", [True, False], ids=["ours", "Mininet's"])
def test_a_custom_file_that_raises_does_not_clean_up_the_machine(safe: bool) -> None:
    """And the control: without `install` Mininet removes other people's files."""
    text = INSTALL + RAISES if safe else RAISES
    ended = on_a_machine(
        MN, "--custom", "/tmp/custom.py", "--topo", "eks", files={"custom.py": text}
    )

    assert "a slip of the pen" in ended.printed
    assert ended.innocent == safe
    assert ended.code == (1 if safe else 0)


def test_another_mn_is_told_whose_it_needs() -> None:
    """One that does not find the testbed: even that must not raise."""
    ended = on_a_machine(
        MN, "--custom", CUSTOM, "--topo", "eks", files={"testbed.py": ""}, path="/tmp"
    )

    assert "use this project's mn" in ended.printed
    assert ended.code == 1
    assert ended.innocent
