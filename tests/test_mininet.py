"""Mininet's prompt over namespaces it did not make: real shells, real pings, nothing left."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import TypeVar

import pytest

from testbed.errors import CheckFailed
from testbed.kernel.scratch import in_scratch
from testbed.kubernetes.placement import PodAddress
from testbed.mininet.view import view
from testbed.net.facts import ANYWHERE, Address, Fact, Neighbour, Netns, Route, State, Veth

pytestmark = pytest.mark.kernel

PODS = {
    "web-0": IPv4Address("10.0.1.20"),
    "kube-system.coredns-0": IPv4Address("10.0.1.21"),
    "client": IPv4Address("10.0.1.22"),
}
NODE = IPv4Interface("10.0.1.10/24")
GATEWAY = IPv4Address("169.254.1.1")
PLACES = (
    *(PodAddress(pod, "demo", "node-1", 0, ip) for pod, ip in PODS.items()),
    PodAddress("kube-system.kube-proxy-0", "demo", "node-1", 0, NODE.ip, host_network=True),
)


def host_side(pod: str) -> str:
    """The node's end of a pod's veth."""
    return f"eni{list(PODS).index(pod)}"


def mac(ns: str, name: str) -> str:
    """A MAC for a device of this lab."""
    digits = [*"abcdefghijklmnopqrstuvwxyz-.0123456789"]
    return f"02:00:00:00:{sum(map(digits.index, ns)) % 256:02x}:{digits.index(name[-1]):02x}"


def pair(a: str, a_dev: str, b: str, b_dev: str) -> Iterable[Fact]:
    """Both ends of a veth pair."""
    for ns, dev, peer_ns, peer in ((a, a_dev, b, b_dev), (b, b_dev, a, a_dev)):
        yield Veth(ns=ns, name=dev, peer_ns=peer_ns, peer=peer, mac=mac(ns, dev), mtu=9001)


def facts() -> Iterable[Fact]:
    """Three pods wired as the VPC CNI does it, on one node, behind one router."""
    for ns in (*PODS, "node-1", "vpc-main"):
        yield Netns(ns=ns)
    yield from pair("node-1", "eth0", "vpc-main", "node-1-e0")
    yield Address(ns="node-1", dev="eth0", ip=NODE)
    yield Address(ns="vpc-main", dev="node-1-e0", ip=IPv4Interface("10.0.1.1/24"))
    for pod, ip in PODS.items():
        dev, own = host_side(pod), IPv4Network(f"{ip}/32")
        yield from pair(pod, "eth0", "node-1", dev)
        yield Address(ns=pod, dev="eth0", ip=IPv4Interface(own))
        yield Route(ns=pod, dst=IPv4Network(f"{GATEWAY}/32"), dev="eth0", scope="link")
        yield Route(ns=pod, dst=ANYWHERE, via=GATEWAY, dev="eth0")
        yield Neighbour(ns=pod, dev="eth0", ip=GATEWAY, mac=mac("node-1", dev))
        yield Route(ns="node-1", dst=own, dev=dev, scope="link")


LAB: State = frozenset(facts())
F = TypeVar("F", bound=Fact)


def of(kind: type[F]) -> list[F]:
    """The facts of a kind."""
    return [fact for fact in LAB if isinstance(fact, kind)]


def ip(*argv: str) -> str:
    """What `ip` prints; it has to succeed."""
    done = subprocess.run(["ip", *argv], capture_output=True, text=True, timeout=10, check=True)
    return done.stdout


def build() -> None:
    """The lab in the kernel, by nothing but `ip`."""
    for netns in of(Netns):
        ip("netns", "add", netns.ns)
    for veth in of(Veth):
        if (veth.ns, veth.name) < (veth.peer_ns, veth.peer):
            peer = ("peer", "name", veth.peer, "netns", veth.peer_ns)
            ip("link", "add", veth.name, "netns", veth.ns, "type", "veth", *peer)
    for veth in of(Veth):
        ip("-n", veth.ns, "link", "set", veth.name, "address", veth.mac, "up")
    for address in of(Address):
        ip("-n", address.ns, "addr", "add", str(address.ip), "dev", address.dev)
    ip("netns", "exec", "node-1", "sysctl", "-qw", "net.ipv4.ip_forward=1")
    restore()


def restore() -> None:
    """All routes and neighbours, whether they are there or not; direct routes first."""
    for route in sorted(of(Route), key=lambda route: bool(route.via)):
        via = ("via", str(route.via)) if route.via else ("scope", route.scope)
        ip("-n", route.ns, "route", "replace", str(route.dst), *via, "dev", route.dev)
    for neighbour in of(Neighbour):
        entry = (str(neighbour.ip), "lladdr", neighbour.mac, "dev", neighbour.dev)
        ip("-n", neighbour.ns, "neigh", "replace", *entry, "nud", "permanent")


def processes() -> list[str]:
    """The command lines of all live processes of this pid namespace but the first."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            lines.append((entry.name, (entry / "cmdline").read_text().replace("\0", " ")))
    return sorted(line for pid, line in lines if pid != "1" and line)  # a zombie has none


def shells() -> list[str]:
    """The shells of places among them."""
    return [line for line in processes() if " mininet:" in line]


def count_shells(_: list[str]) -> str:
    """How many shells there are."""
    return f"{len(shells())} shells"


def fail(words: list[str]) -> str:
    """A command of ours that has bad news."""
    raise CheckFailed(f"no way to {words[0]}")


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


def open_prompt() -> None:
    """The prompt over the lab of this process' mount namespace."""
    from testbed.mininet.prompt import prompt

    shown = view(LAB, PLACES, ("node-1",))
    commands = {"shells": count_shells, "fail": fail}
    prompt(shown, lambda: None, restore=restore, commands=commands)


def contents(file: int) -> str:
    """What was written to a file this process has open."""
    sys.stdout.flush()
    sys.stderr.flush()
    return os.pread(file, 1 << 20, 0).decode()


def test_a_name_is_a_command_and_stands_for_its_address() -> None:
    """Names with hyphens and dots, in first place and as arguments."""
    seen = session("kube-system.coredns-0 ping -c1 -W1 web-0\nweb-0 ping -c1 -W1 node-1\n")

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
        "link web-0 node-1 up\nweb-0 ip route\nclient ping -c1 -W1 web-0\n"
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
    assert "*** /nowhere: No such file or directory\n" in seen.complained
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


class Terminal:
    """The prompt on a terminal of its own, driven by keys (state: what it has shown so far)."""

    def __init__(self) -> None:
        self.child, self.keys = pty.fork()
        self.shown = ""
        if self.child == 0:
            os.environ["HOME"] = "/proc"  # where no history can be written
            sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
            open_prompt()
            os._exit(0)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.keys, keys.encode())

    def expect(self, text: str) -> str:
        """Wait until the terminal shows `text`; everything up to there."""
        assert self.shows(text, 10), f"no {text!r} in {self.shown!r}"
        before, _, self.shown = self.shown.partition(text)
        return before

    def shows(self, text: str, timeout_s: float) -> bool:
        """Whether the terminal shows `text` within this time."""
        deadline = time.monotonic() + timeout_s
        while text not in self.shown:
            if not select.select([self.keys], [], [], max(0, deadline - time.monotonic()))[0]:
                return False
            self.shown += os.read(self.keys, 4096).decode()
        return True

    def interrupt(self) -> None:
        """Press ^C until it is seen.

        Python's input() does not see one that comes between showing the prompt and waiting.
        """
        presses = 0
        while not self.shows("Interrupt", 0.5):
            presses += 1
            assert presses < 10, f"no interrupt in {self.shown!r}"
            self.type("\x03")
        self.expect("Interrupt")


def on_a_terminal(work: Callable[[Terminal], None]) -> None:
    """Drive the prompt over a lab of its own; it ends by itself and leaves nothing."""

    def all_of_it() -> list[str]:
        build()
        terminal = Terminal()
        terminal.expect("mininet> ")
        work(terminal)
        terminal.type("exit\n")
        assert os.waitpid(terminal.child, 0)[1] == 0
        return processes()

    assert in_scratch(all_of_it) == []


def test_ctrl_c_interrupts_the_command_and_not_the_prompt() -> None:
    """ping without -c runs until it is interrupted, and then prints its statistics."""

    def keys(terminal: Terminal) -> None:
        terminal.type("web-0 ping client\n")
        terminal.expect("icmp_seq=1 ")
        terminal.type("\x03")
        assert "0% packet loss" in terminal.expect("mininet> ")
        terminal.type("web-0 echo still $((40 + 2))\n")
        terminal.expect("still 42")
        terminal.expect("mininet> ")

    on_a_terminal(keys)


def test_ctrl_c_at_the_prompt_and_in_pingall_keeps_the_session() -> None:
    """Mininet's `Interrupt`, and no command after it gets the answer of the one before."""

    def keys(terminal: Terminal) -> None:
        terminal.interrupt()
        terminal.type("link client node-1 down\n")
        terminal.expect("mininet> ")
        terminal.type("pingall 30\n")
        terminal.expect("web-0 -> kube-system.coredns-0 ")
        terminal.interrupt()
        terminal.expect("mininet> ")
        terminal.type("web-0 echo still $((40 + 2))\n")
        terminal.expect("still 42")
        terminal.expect("mininet> ")

    on_a_terminal(keys)


def test_what_is_typed_while_a_command_runs_goes_to_the_command() -> None:
    """`read` gets the line; an Enter too many does not put later answers out of step."""

    def keys(terminal: Terminal) -> None:
        terminal.type("web-0 read line; echo got $line; sleep 0.2\n")
        terminal.type("hello\n\n\n")
        terminal.expect("got hello")
        terminal.expect("mininet> ")
        terminal.type("web-0 echo one\n")
        terminal.expect("\r\none\r\n")
        terminal.expect("mininet> ")
        terminal.type("client echo two\n")
        terminal.expect("\r\ntwo\r\n")
        terminal.expect("mininet> ")

    on_a_terminal(keys)


def test_names_with_hyphens_and_dots_are_completed() -> None:
    """Tab after `kube-system.c` has one answer."""

    def keys(terminal: Terminal) -> None:
        terminal.type("kube-system.c\t echo $((40 + 2))\n")
        terminal.expect("kube-system.coredns-0 echo")
        terminal.expect("42")
        terminal.expect("mininet> ")

    on_a_terminal(keys)


def test_a_killed_prompt_takes_its_shells_with_it() -> None:
    """Closing the terminals hangs the shells up, however the prompt ended."""

    def work() -> None:
        build()
        terminal = Terminal()
        terminal.expect("mininet> ")
        terminal.type("web-0 sleep 100\n")
        wait_until(lambda: "sleep 100 " in processes())
        os.kill(terminal.child, signal.SIGKILL)
        os.waitpid(terminal.child, 0)
        wait_until(lambda: processes() == [])

    in_scratch(work)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds, at most 10 s."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        select.select([], [], [], 0.01)
