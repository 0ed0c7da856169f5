"""A small lab made by nothing but `ip`, and Mininet's prompt over it, for the tests here."""

import subprocess
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import TypeVar

from testbed.daemon.shown.prompt import view
from testbed.errors import CheckFailed
from testbed.kubernetes.placement import PodAddress
from testbed.mininet.prompt import Said
from testbed.net.facts import ANYWHERE, Address, Fact, Neighbour, Netns, Route, State, Veth
from tests.waiting import PATIENCE_S

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
    done = subprocess.run(
        ["ip", *argv], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
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


def count_shells(_: list[str]) -> Said:
    """How many shells there are."""
    return Said(f"{len(shells())} shells")


def fail(words: list[str]) -> Said:
    """A command of ours that has bad news."""
    raise CheckFailed(f"no way to {words[0]}")


def open_prompt() -> None:
    """The prompt over the lab of this process' mount namespace."""
    from testbed.mininet.prompt import prompt

    shown = view(LAB, PLACES, ("node-1",))
    commands = {"shells": count_shells, "fail": fail}
    prompt(shown, lambda: None, restore=restore, commands=commands)
