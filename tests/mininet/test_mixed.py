"""Mininet hosts and a Linux bridge beside the pods of a lab, as `topologies/mixed.py` has them."""

import signal

import pytest

from tests.mininet.mn import REPOSITORY, Ended, Program, on_a_machine, shows
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

SCRIPT = REPOSITORY / "topologies" / "mixed.py"
RECEIVED = "1 packets transmitted, 1 received, 0% packet loss"
LOST = "1 packets transmitted, 0 received, 100% packet loss"


def mixed(commands: str) -> Ended:
    """The script, with commands for its prompt."""
    return on_a_machine(
        SCRIPT, act=lambda program: program.communicate(commands, timeout=PATIENCE_S)[0]
    )


def test_hosts_reach_each_other_and_pods_and_are_reached() -> None:
    """The story: by the bridge, through the NAT gateway, through the load balancer."""
    ended = mixed("h1 curl -s http://203.0.113.10/\n")

    assert ended.printed.count(RECEIVED) == 2
    assert "192.0.2.4 - - [" in ended.printed, "h2 saw the NAT gateway of web-0's zone"
    assert '"GET / HTTP/1.1" 200 -' in ended.printed
    assert '{"pod": "web-' in ended.printed, "a pod answered h1"
    assert '"client": "198.51.100.130:' in ended.printed, "a host of the internet saw h1 itself"
    assert (ended.code, ended.labs, ended.processes) == (0, [], [])


def test_an_office_that_is_cut_off_and_connected_again() -> None:
    """The control, and `link up`: what the lab's plan does not have is put back as well."""
    ended = mixed(
        "link s1 internet down\n"
        "h1 ping -c1 -W1 203.0.113.10\n"
        "h1 ping -c1 -W30 h2\n"
        "link s1 internet up\n"
        "h1 ping -c1 -W30 203.0.113.10\n"
        "link h1 s1 down\n"
        "link h1 s1 up\n"
        "web-0 ping -c1 -W30 h1\n"
    )

    received, lost = ended.printed.count(RECEIVED), ended.printed.count(LOST)
    assert (received, lost) == (2 + 3, 1)


def test_the_plan_knows_nothing_of_the_office() -> None:
    """`verify` names what is in the lab's own namespace, and sees the rest as planned."""
    ended = mixed("verify\n")

    assert (
        "not planned  internet  Address: inet 198.51.100.129/28 dev internet-s1" in ended.printed
    )
    assert "missing" not in ended.printed


def test_a_killed_script_takes_hosts_and_lab_with_it() -> None:
    def act(program: Program) -> str:
        assert program.stdin is not None
        program.stdin.write("h1 sleep 1000 &\nh1 echo started\nh2 sleep 1000\n")
        program.stdin.flush()
        printed = shows(program, "started")
        program.kill()
        return printed

    ended = on_a_machine(SCRIPT, act=act)

    assert ended.code == -signal.SIGKILL
    assert ended.processes == []


LEAVES_PROGRAMS = """\
from mixed import lab
from testbed.mininet.mixed import MixedNet
from testbed.mininet.own import own_lab

with own_lab(lab, MixedNet) as net:
    ended = net["web-0"].popen("true")
    running = net.addHost("h1").popen("sleep 1000")
    net["web-1"].cmd("sleep 1000 &")
"""


def test_a_script_need_not_wait_for_its_programs() -> None:
    """Those it has not waited for are its dead children, and a lab ends when they are buried."""
    ended = on_a_machine(
        "/tmp/script.py",
        files={"script.py": LEAVES_PROGRAMS},
        path=f"{REPOSITORY}:{SCRIPT.parent}",
    )

    assert (ended.code, ended.labs, ended.processes) == (0, [], []), ended.printed
