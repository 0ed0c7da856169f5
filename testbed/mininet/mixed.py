"""Ordinary Mininet hosts and Linux bridges beside a lab's places, as a Mininet script adds them.

Mininet's own need mnexec, ifconfig and brctl, of which its package on PyPI has none.  These are
network namespaces that `ip` makes and connects, in this process' own copy of the lab's mounts:
the lab does not know them, and they end with the process.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Any

from mininet.util import errRun

from testbed.daemon.shown.prompt import Interface, Place, View
from testbed.errors import KernelError, UsageError
from testbed.mininet.net import LabNet
from testbed.mininet.nodes import LabIntf, LabLink, LabNode
from testbed.net import names


class Host(LabNode):
    """An ordinary Mininet host: a network namespace of its own.

    params: Mininet's `ip` ("198.51.100.130/28") and `defaultRoute` ("via 198.51.100.129"), which
    its first link gets.
    """

    def __init__(self, name: str, **params: Any) -> None:
        _ip("netns", "add", name)
        _ip("-n", name, "link", "set", "dev", "lo", "up")
        super().__init__(Place(name, name, "pod"))
        self.params = params


class Bridge(Host):
    """A Linux bridge in a network namespace of its own: every link to it is one of its ports."""

    def __init__(self, name: str, **params: Any) -> None:
        super().__init__(name, **params)
        _ip("-n", name, "link", "add", "dev", name, "type", "bridge")
        _ip("-n", name, "link", "set", "dev", name, "up")


@dataclass(frozen=True)
class End:
    """One end of a veth pair, and what it is given."""

    netns: str
    device: str
    ip: str = ""
    default_route: str = ""
    bridge: str = ""

    def settings(self) -> Iterator[tuple[str, ...]]:
        """The commands of `ip -n NETNS`; they may be repeated."""
        if self.bridge:
            yield "link", "set", "dev", self.device, "master", self.bridge
        yield "link", "set", "dev", self.device, "up"
        if self.ip:
            yield "address", "replace", self.ip, "dev", self.device
        if self.default_route:
            yield "route", "replace", "default", *self.default_route.split()

    def interface(self) -> Interface:
        """What Mininet is shown of it."""
        ip = ip_interface(self.ip).ip if self.ip else None
        return Interface(self.device, ip, names.mac(self.netns, self.device))


class MixedNet(LabNet):
    """A lab's places, and the hosts, bridges and links a script adds (state: the links' ends)."""

    def __init__(self, view: View, restore: Callable[[], object]) -> None:
        def healed() -> None:
            restore()  # it takes away what the plan does not have: our address in `internet`
            for left, right in self._wired:
                _wire(left, right)

        super().__init__(view, healed)
        self._wired: list[tuple[End, End]] = []

    def start(self) -> None:
        """Wait until all links carry packets."""
        self._wait_for_links(self.links)

    def addHost(self, name: str, **params: Any) -> Host:  # type: ignore[override]
        """Make a host; see Host for the parameters."""
        return self._added(Host(self._free(name), **params), self.hosts)

    def addSwitch(self, name: str, **params: Any) -> Bridge:  # type: ignore[override]
        """Make a bridge."""
        bridge = Bridge(self._free(name), **params)
        self._added(bridge, self.switches)
        return bridge

    def addLink(  # type: ignore[override]
        self,
        node1: str | LabNode,
        node2: str | LabNode,
        *,
        params1: dict[str, str] | None = None,
        params2: dict[str, str] | None = None,
    ) -> LabLink:
        """Connect two places, the lab's or ours; params: the `ip` of an end, if it gets one."""
        one, other = (self[node] if isinstance(node, str) else node for node in (node1, node2))
        left, right = _end(one, other, params1 or {}), _end(other, one, params2 or {})
        _wire(left, right)
        self._wired.append((left, right))
        link = LabLink(LabIntf(left.interface(), one), LabIntf(right.interface(), other))
        self.links.append(link)
        return link

    def _free(self, name: str) -> str:
        if name in self.nameToNode:
            raise UsageError(f"there is a '{name}' already")
        return name

    def _added(self, host: Host, where: list[LabNode]) -> Host:
        self.nameToNode[host.name] = host
        where.append(host)
        return host


def _end(node: LabNode, other: LabNode, given: dict[str, str]) -> End:
    """A host's first link has the host's own address and route."""
    if not isinstance(node, Host):
        return End(node.netns, names.device(f"{node}-{other}"), **given)
    device = f"{node}-eth{node.newPort()}"  # as Mininet calls it
    if isinstance(node, Bridge):
        return End(node.netns, device, bridge=node.name, **given)
    own = {} if node.intfs else node.params
    return End(node.netns, device, given.get("ip", own.get("ip", "")), own.get("defaultRoute", ""))


def _wire(left: End, right: End) -> None:
    """Make a veth pair unless it is there, and give its ends what they have."""
    _, _, missing = errRun(["ip", "-n", left.netns, "link", "show", "dev", left.device])
    if missing:
        ends = [
            ("name", end.device, "address", names.mac(end.netns, end.device), "netns", end.netns)
            for end in (left, right)
        ]
        _ip("link", "add", *ends[0], "type", "veth", "peer", *ends[1])
    for end in (left, right):
        for settings in end.settings():
            _ip("-n", end.netns, *settings)


def _ip(*argv: str) -> None:
    _, problem, code = errRun(["ip", *argv])
    if code:
        raise KernelError(f"ip {' '.join(argv)}: {problem.strip()}")
