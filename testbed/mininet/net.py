"""Mininet's network object over a running lab."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mininet.log import error
from mininet.net import Mininet

from testbed.daemon.shown.prompt import View
from testbed.mininet.nodes import Instance, LabIntf, LabLink, LabNode, Pod, Router, refused

KINDS: dict[str, type[LabNode]] = {"pod": Pod, "node": Instance, "router": Router}
LINK_UP_S = 2.0  # the kernel looks after links once a second: net/core/link_watch.c
PING_TIMEOUT_S = "1"  # of each ping of `pingall`; ping's own is 10 s


class LabNet(Mininet):  # type: ignore[misc]  # mininet is untyped
    """The lab as Mininet's commands see it: pods are its hosts, everything else its switches."""

    def __init__(self, view: View, restore: Callable[[], object]) -> None:
        # Mininet's own constructor would raise resource limits and sysctls of the whole machine.
        self.hosts: list[LabNode] = []
        self.switches: list[LabNode] = []
        self.controllers: list[LabNode] = []
        self.links: list[LabLink] = []
        self.terms: list[Any] = []
        self.nameToNode: dict[str, LabNode] = {}
        self.topo, self.built = None, True
        self._restore = restore
        for place in view.places:
            node = KINDS[place.kind](place)
            self.nameToNode[place.name] = node
            (self.hosts if place.kind == "pod" else self.switches).append(node)
        for left, right in view.links:
            self.links.append(LabLink(self._intf(*left), self._intf(*right)))

    def _intf(self, place: str, device: str) -> LabIntf:
        intf = self.nameToNode[place].nameToIntf[device]
        assert isinstance(intf, LabIntf)
        return intf

    def start(self) -> None:
        """Nothing: the lab is up."""

    def stop(self) -> None:
        """End the shells, and nothing else: the lab stays up."""
        for node in self.values():
            node.terminate()

    @contextmanager
    def burying(self) -> Iterator[None]:
        """Shells that end are buried at once, whatever this process waits for.

        A lab cannot end, by `testbed down` in another terminal, while one of its dead is not.
        """

        def bury(*_: object) -> None:
            for node in self.values():
                if node.shell is not None:
                    node.shell.poll()

        before = signal.signal(signal.SIGCHLD, bury)
        try:
            yield
        finally:
            signal.signal(signal.SIGCHLD, before)

    def waitConnected(self, *_: object, **__: object) -> bool:
        """At once: no switch here waits for a controller."""
        return True

    def pingAll(self, timeout: str | None = None) -> Any:
        """Mininet's `pingall`, which gives a lost packet up after 1 s unless told otherwise."""
        return super().pingAll(timeout or PING_TIMEOUT_S)

    def configLinkStatus(self, src: str, dst: str, status: str) -> None:
        """Set the links between two places up or down.

        A device that goes down loses its routes and neighbours; on `up` the plan restores them.
        """
        super().configLinkStatus(src, dst, status)
        if status == "up" and {src, dst} <= self.nameToNode.keys():
            self._wait_for_links(self.linksBetween(self[src], self[dst]))
            self._restore()

    def _wait_for_links(self, links: list[LabLink]) -> None:
        """The kernel starts a device's queue a moment after its carrier; until then it drops."""
        deadline = time.monotonic() + LINK_UP_S
        while any("DOWN" in link.status() for link in links) and time.monotonic() < deadline:
            pass  # asking takes a few milliseconds

    def iperf(self, *_: Any, **__: Any) -> None:
        """Not Mininet's: that one ends programs by name, whoever started them."""
        error("*** two commands do it: `web-0 iperf -s &` and `client iperf -c web-0`\n")

    addHost = addSwitch = addController = addNAT = addLink = refused
    delNode = delHost = delSwitch = delController = delLink = delLinkBetween = refused
    build = buildFromTopo = configHosts = staticArp = startTerms = stopXterms = refused
    configureControlNetwork = interact = run = runCpuLimitTest = refused
