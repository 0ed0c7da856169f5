"""A star of namespaces, wired with `ip` alone, and the pods' servers."""

import os
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from testbed.kernel.namespaces.enter import new_netns
from testbed.kernel.namespaces.store import Descriptors, LocalStore
from testbed.kernel.write.carrier import Waiting, await_carrier
from testbed.net.served.endpoints import Endpoint, Listener, Served
from testbed.probes.servers.process import start
from testbed.probes.servers.processes import Servers
from testbed.probes.sockets import inside
from tests.waiting import PATIENCE_S

PORTS: tuple[tuple[int, Served], ...] = ((80, "http"), (7, "tcp"), (7, "udp"))
ROUTER = IPv4Address("10.255.0.1")


class Star:
    """Pods `pod-0` … around `router`, which forwards between them and answers on 10.255.0.1."""

    def __init__(self, store: LocalStore, count: int) -> None:
        self.store = store
        self.pods = [f"pod-{number}" for number in range(count)]
        for name in ["router", *self.pods]:
            namespace = new_netns()
            store.keep({name: namespace})
            os.close(namespace)
        self.ip("router", "link set lo up", f"address add {ROUTER}/32 dev lo")
        with inside(store, "router"):
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        self._wire(count)

    def address(self, pod: str) -> IPv4Address:
        """The pod's address."""
        return IPv4Address("10.0.0.1") + int(pod.removeprefix("pod-"))

    def port(self, pod: str) -> str:
        """The router's device towards the pod."""
        return pod.replace("pod-", "port")

    def ip(self, netns: str, *lines: str) -> None:
        """Run these commands of `ip` in a namespace."""
        self.run(netns, "ip", "-batch", "-", text="\n".join(lines))

    def run(self, netns: str, *argv: str, text: str = "") -> str:
        """What a program prints in a namespace."""
        with inside(self.store, netns):
            done = subprocess.run(
                argv, input=text, capture_output=True, text=True, timeout=PATIENCE_S, check=False
            )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def drop(self, pod: str) -> None:
        """Let the router drop silently all that goes to a pod."""
        self.ip("router", f"route replace blackhole {self.address(pod)}")

    def block(self, source: str, destination: str) -> None:
        """Let the router drop silently what one pod sends to another."""
        rule = f"ip saddr {self.address(source)} ip daddr {self.address(destination)} drop"
        self.run(
            "router",
            "nft",
            "-f",
            "-",
            text=(
                "add table ip t; add chain ip t forward { type filter hook forward priority 0; };"
                f"add rule ip t forward {rule}"
            ),
        )

    def listeners(self, *pods: str) -> list[Listener]:
        """HTTP on port 80, TCP and UDP on port 7 of these pods, or of all."""
        return [
            Listener(netns=pod, port=port, protocol=protocol, pod=pod, node="n", container="echo")
            for pod in pods or self.pods
            for port, protocol in PORTS
        ]

    def endpoints(self, *pods: str, **same: Any) -> list[Endpoint]:
        """These pods, or all, as rows and columns of a matrix; the router is their control."""
        control = {"control_netns": "router", "control_address": ROUTER, **same}
        return [
            Endpoint(
                name=pod, netns=pod, address=self.address(pod), tcp_port=7, http_port=80, **control
            )
            for pod in pods or self.pods
        ]

    def _wire(self, count: int) -> None:
        with ExitStack() as stack:
            pods = [self.store.open(pod) for pod in self.pods]
            for namespace in pods:
                stack.callback(os.close, namespace)
            one_queue = "numtxqueues 1 numrxqueues 1"
            with inside(self.store, "router"):
                subprocess.run(
                    ["ip", "-batch", "-"],
                    input="\n".join(
                        f"link add port{i} up address {_mac(2, i)} {one_queue} type veth"
                        f" peer name eth0 address {_mac(6, i)} {one_queue}"
                        f" netns /proc/self/fd/{fd}\n"
                        f"route add {self.address(f'pod-{i}')} dev port{i}\n"
                        f"neighbour add {self.address(f'pod-{i}')} lladdr {_mac(6, i)} dev port{i}"
                        for i, fd in enumerate(pods)
                    ),
                    pass_fds=pods,
                    text=True,
                    check=True,
                    timeout=PATIENCE_S,
                )
        for i, pod in enumerate(self.pods):
            self.ip(
                pod,
                "link set lo up",
                "link set eth0 up",
                f"address add {self.address(pod)}/32 dev eth0",
                "route add 169.254.1.1 dev eth0",
                "route add default via 169.254.1.1 dev eth0",
                f"neighbour add 169.254.1.1 lladdr {_mac(2, i)} dev eth0",
            )
        ends = [(pod, "eth0") for pod in self.pods] + [
            ("router", self.port(pod)) for pod in self.pods
        ]
        with Descriptors(self.store) as spaces:
            await_carrier(spaces, Waiting(frozenset(ends), frozenset()))


def _mac(kind: int, number: int) -> str:
    return f"{kind:02x}:00:00:00:{number >> 8:02x}:{number & 255:02x}"


@contextmanager
def _serving(star: Star, listeners: Iterable[Listener], **how: Any) -> Iterator[Servers]:
    """Servers cope with whatever comes: `stop` raises when one has ended by itself."""
    servers = Servers(star.store, partial(start, **how))
    try:
        servers.open(listeners)
        yield servers
    finally:
        servers.stop()


@pytest.fixture
def star() -> Iterator[Callable[[int], Star]]:
    """Makes stars; their namespaces go with the test, which may leave no descriptor behind."""
    before, threads = _descriptors(), threading.active_count()
    with LocalStore() as store:
        yield lambda count: Star(store, count)
    assert _descriptors() == before, "descriptors were left open"
    assert threading.active_count() == threads, "a thread was left running"


@pytest.fixture
def serving() -> Callable[..., Any]:
    """`with serving(star, listeners):` the pods' servers answer from another process."""
    return _serving


def _descriptors() -> list[str]:
    return sorted(entry.name for entry in Path("/proc/self/fd").iterdir())
