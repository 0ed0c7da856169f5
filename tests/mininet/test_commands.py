"""Mininet's commands over namespaces it did not make: real shells, real pings, nothing left."""

import os
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.kernel.machine import mounts
from testbed.kernel.machine.scratch import in_scratch
from tests.mininet.lab import build, open_prompt, processes
from tests.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.kernel

REPOSITORY = Path(__file__).parents[2]


@dataclass
class Session:
    """What a session printed, and the processes that outlived it."""

    printed: str
    complained: str
    left: list[str]


def session(script: str) -> Session:
    """The prompt over a lab of its own, with commands from standard input."""

    def work() -> Session:
        build()
        files = {fd: os.memfd_create(name) for fd, name in ((0, "in"), (1, "out"), (2, "err"))}
        os.write(files[0], script.encode())
        os.lseek(files[0], 0, os.SEEK_SET)
        for fd, file in files.items():
            os.dup2(file, fd)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        open_prompt()
        with suppress(AssertionError):
            wait_until(lambda: processes() == [])
        return Session(contents(1), contents(2), processes())

    return in_scratch(work)


def contents(file: int) -> str:
    """What was written to a file this process has open."""
    sys.stdout.flush()
    sys.stderr.flush()
    return os.pread(file, 1 << 20, 0).decode()


def test_a_name_is_a_command_and_stands_for_its_address() -> None:
    """Names with hyphens and dots, in first place and as arguments."""
    seen = session("kube-system.coredns-0 ping -c1 -W30 web-0\nweb-0 ping -c1 -W30 node-1\n")

    assert "PING 10.0.1.20 (10.0.1.20)" in seen.printed
    assert "PING 10.0.1.10 (10.0.1.10)" in seen.printed
    assert seen.printed.count("1 packets transmitted, 1 received, 0% packet loss") == 2


def test_a_name_in_an_url_stands_for_its_address_too() -> None:
    """`curl http://web-0:8080/` is what one types; a path with a name in it stays a path."""
    seen = session("web-0 echo http://client:8080/client client:80 /tmp/client client\n")

    assert seen.printed == "http://10.0.1.22:8080/client 10.0.1.22:80 /tmp/client 10.0.1.22\n"


def test_pingall_loses_nothing_and_a_host_network_pod_is_its_node() -> None:
    """Four pods, twelve pings; the one without a namespace of its own answers as its node."""
    seen = session("pingall\n")

    assert "*** Results: 0% dropped (12/12 received)" in seen.printed
    assert "web-0 -> kube-system.coredns-0 client kube-system.kube-proxy-0" in seen.printed


def test_a_shell_starts_with_the_first_command_of_its_place() -> None:
    """500 pods would be 1.6 GB of shells."""
    seen = session("shells\nweb-0 true\nweb-0 true\nshells\nclient true\nshells\n")

    assert seen.printed == "0 shells\n1 shells\n2 shells\n"


def test_nothing_is_left_after_the_prompt() -> None:
    """Neither a shell nor what it runs, even what does not care for a hang-up."""
    seen = session("client sleep 100 &\nweb-0 trap '' HUP\nweb-0 sleep 200 &\nsh ps ax\n")

    assert "sleep 100" in seen.printed
    assert "sleep 200" in seen.printed
    assert seen.left == []


def test_a_place_keeps_its_shell_and_variables_between_commands() -> None:
    """A node of Mininet is one shell, not a new one for each command."""
    seen = session("web-0 cd /tmp; x=7\nweb-0 echo $PWD $x\n")

    assert seen.printed == "/tmp 7\n"


def test_a_shell_that_was_left_is_started_again() -> None:
    """`web-0 exit` ends Mininet's own prompt with a traceback."""
    seen = session("web-0 exit\nweb-0 echo back\n")

    assert seen.printed == "exit\nback\n"


def test_the_view_is_shown_by_mininets_own_commands() -> None:
    """nodes, net, dump, intfs, links; pods are hosts, the rest switches."""
    seen = session("nodes\nnet\ndump\nintfs\nlinks\npy [h.name for h in net.hosts]\n")

    assert "client kube-system.coredns-0 kube-system.kube-proxy-0 node-1 vpc-main web-0" in (
        seen.printed
    )
    assert "web-0 eth0:node-1/eni0\n" in seen.printed
    assert "node-1 eth0:vpc-main/node-1-e0 eni0:web-0/eth0 " in seen.printed
    assert "<Pod web-0: eth0:10.0.1.20 pid=None>" in seen.printed
    assert "node-1: eth0,eni0,eni1,eni2\n" in seen.printed
    assert "web-0/eth0<->node-1/eni0 (OK OK) \n" in seen.printed
    assert "['web-0', 'kube-system.coredns-0', 'client', 'kube-system.kube-proxy-0']" in (
        seen.printed
    )
    assert seen.complained == ""


def test_a_link_that_comes_up_again_has_its_routes_again() -> None:
    """The kernel drops a device's routes and neighbours when it goes down."""
    seen = session(
        "link web-0 node-1 down\nlinks\nweb-0 ip route\nclient ping -c1 -W1 web-0\n"
        "link web-0 node-1 up\nweb-0 ip route\nclient ping -c1 -W30 web-0\n"
    )

    assert "web-0/eth0<->node-1/eni0 (DOWN DOWN) \n" in seen.printed
    down, up = seen.printed.split("100% packet loss")
    assert "default via 169.254.1.1 dev eth0" not in down
    assert "default via 169.254.1.1 dev eth0" in up
    assert "1 received, 0% packet loss" in up


def test_our_commands_are_there_and_their_complaints_end_nothing() -> None:
    """pods, verify, path and matrix come in this way."""
    seen = session("fail mars\nnonsense\nhelp shells\nhelp\nshells\n")

    assert "*** no way to mars\n" in seen.complained
    assert "*** Unknown command: nonsense\n" in seen.complained
    assert "How many shells there are." in seen.printed
    assert re.search(r"pingall .*shells", seen.printed, re.DOTALL)
    assert seen.printed.endswith("0 shells\n")


def test_what_would_reach_beyond_the_lab_is_refused() -> None:
    """Mininet's iperf, terminals and network changes start or end things by name, or with root."""
    seen = session(
        "iperf\nxterm web-0\nswitch node-1 stop\nsource /nowhere\n"
        "py net.addHost('h9')\npy net['web-0'].setIP('10.9.9.9/8')\n"
    )

    assert "web-0 iperf -s" in seen.complained
    assert "testbed shell web-0" in seen.complained
    assert "`link node-1 vpc-main down`" in seen.complained
    assert "*** /nowhere: no such file\n" in seen.complained
    assert seen.printed.count("a lab is what its topology says") == 2
    assert seen.left == []


def test_a_place_whose_namespace_is_gone_says_so() -> None:
    """Somebody took the lab down meanwhile."""
    seen = session("sh ip netns del client\nclient ip a\nweb-0 echo still here\n")

    assert "no shell in client: cannot enter namespace 'client'" in seen.complained
    assert seen.printed == "still here\n"


def test_comments_and_exit_end_a_script_early() -> None:
    """A script is what one would have typed."""
    seen = session("# only a comment\n\nshells # how many\nexit\nweb-0 echo not reached\n")

    assert seen.printed == "0 shells\n"


def test_mininet_itself_is_left_as_it_was() -> None:
    """No class of Mininet's is changed: a script may use the real thing beside ours."""
    from mininet.log import lg
    from mininet.net import Mininet
    from mininet.node import Node

    def work() -> tuple[bool, bool, bool]:
        before = list(lg.handlers)
        build()
        with Path(os.devnull).open() as sys.stdin:
            open_prompt()
        return Mininet.inited, Node.isSetup, lg.handlers == before

    assert in_scratch(work) == (False, False, True)


def test_it_is_imported_only_where_it_is_used() -> None:
    """Mininet brings setuptools along: 0.1 s that no other command shall pay."""
    loads = (
        "import sys, testbed.mininet, testbed.daemon.shown.prompt; print('mininet' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", loads],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )

    assert done.stdout == "False\n"


def test_a_topology_that_is_run_brings_its_lab_up_and_takes_it_down() -> None:
    """`sudo .venv/bin/python topologies/eks.py`, Mininet's way."""

    def work() -> tuple[str, list[str], list[str]]:
        mounts.mount("tmpfs", "/run", "tmpfs")
        done = subprocess.run(
            [sys.executable, str(REPOSITORY / "topologies" / "eks.py")],
            input="web-0 ping -c1 -W30 client\n",
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
        labs = [entry.name for entry in Path("/run/testbed").iterdir() if entry.is_dir()]
        return done.stdout, labs, processes()

    printed, labs, left = in_scratch(work)

    assert "1 packets transmitted, 1 received, 0% packet loss" in printed
    assert (labs, left) == ([], [])
