"""A pod, its node and the VPC as facts, and how their kernels are asked."""

import os
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import TypeVar

from testbed.kernel.namespaces.enter import entered
from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.programs.run import run
from testbed.kernel.read.observe import Observation, observe
from testbed.kernel.write.apply import apply
from testbed.net.drift.diff import Drift, compare
from testbed.net.facts import (
    ANYWHERE,
    Address,
    Bridge,
    BridgePort,
    Fdb,
    Neighbour,
    Netns,
    Route,
    Rule,
    State,
    Sysctl,
    Veth,
)
from tests.waiting import PATIENCE_S

T = TypeVar("T")
GATEWAY = IPv4Address("169.254.1.1")
POD_NET = IPv4Network("10.0.1.5/32")
# A pod on a node with two ENIs, and the VPC's bridge they are plugged into.
POD: State = frozenset(
    {
        Netns(ns="pod"),
        Veth(ns="pod", name="eth0", peer_ns="n1", peer="eni1", mac="02:00:00:00:00:01", mtu=9001),
        Address(ns="pod", dev="eth0", ip=IPv4Interface("10.0.1.5/32")),
        Route(ns="pod", dst=IPv4Network("169.254.1.1/32"), dev="eth0", scope="link"),
        Route(ns="pod", dst=ANYWHERE, via=GATEWAY, dev="eth0"),
        Neighbour(ns="pod", dev="eth0", ip=GATEWAY, mac="02:00:00:00:00:02"),
        Veth(ns="n1", name="eni1", peer_ns="pod", peer="eth0", mac="02:00:00:00:00:02", mtu=9001),
        Sysctl(ns="n1", name="net.ipv6.conf.eni1.accept_ra", value="0"),
        Route(ns="n1", dst=POD_NET, dev="eni1", scope="link"),
        Rule(ns="n1", priority=512, dst=POD_NET, table=254),
        Rule(ns="n1", priority=1536, src=POD_NET, table=2),
    }
)
NODE: State = frozenset(
    {
        Netns(ns="n1"),
        Veth(ns="n1", name="eth0", peer_ns="vpc", peer="n1-e0", mac="02:00:00:00:00:03", mtu=9001),
        Veth(ns="n1", name="eth1", peer_ns="vpc", peer="n1-e1", mac="02:00:00:00:00:04", mtu=9001),
        Sysctl(ns="n1", name="net.ipv4.ip_forward", value="1"),
        Sysctl(ns="n1", name="net.ipv4.conf.eth0.rp_filter", value="2"),
        Address(ns="n1", dev="eth0", ip=IPv4Interface("10.0.1.4/24")),
        Address(ns="n1", dev="eth1", ip=IPv4Interface("10.0.1.6/24"), connected=False),
        Route(
            ns="n1",
            dst=ANYWHERE,
            via=IPv4Address("10.0.1.1"),
            dev="eth0",
            src=IPv4Address("10.0.1.4"),
            protocol="dhcp",
            metric=512,
        ),
        Route(ns="n1", dst=IPv4Network("10.0.1.1/32"), dev="eth1", table=2, scope="link"),
        Route(ns="n1", dst=ANYWHERE, via=IPv4Address("10.0.1.1"), dev="eth1", table=2),
        Route(ns="n1", dst=IPv4Network("10.9.0.0/16"), kind="blackhole", table=1000),
        Rule(ns="n1", priority=1024, fwmark=0x80, fwmask=0x80, table=254),
        Rule(ns="n1", priority=1025, iif="eth1", table=1000),
    }
)
VPC: State = frozenset(
    {
        Netns(ns="vpc"),
        Bridge(ns="vpc", name="private-a", mac="02:00:00:00:00:05", mtu=9001),
        Veth(ns="vpc", name="n1-e0", peer_ns="n1", peer="eth0", mac="02:00:00:00:00:06", mtu=9001),
        Veth(ns="vpc", name="n1-e1", peer_ns="n1", peer="eth1", mac="02:00:00:00:00:07", mtu=9001),
        BridgePort(
            ns="vpc",
            dev="n1-e0",
            bridge="private-a",
            learning=False,
            flood=False,
            proxy_arp=True,
        ),
        BridgePort(ns="vpc", dev="n1-e1", bridge="private-a", hairpin=True),
        Fdb(ns="vpc", dev="n1-e0", mac="02:00:00:00:00:03"),
        Address(ns="vpc", dev="private-a", ip=IPv4Interface("10.0.1.1/32")),
        Neighbour(ns="vpc", dev="private-a", ip=IPv4Address("10.0.1.4"), mac="02:00:00:00:00:03"),
    }
)
LAB = POD | NODE | VPC


def inside(store: LocalStore, ns: str, work: Callable[[], T]) -> T:
    """What `work` returns in a namespace."""
    fd = store.open(ns)
    try:
        with entered(fd):
            return work()
    finally:
        os.close(fd)


def printed(store: LocalStore, ns: str, *argv: str) -> list[str]:
    """What a program prints in a namespace, its lines without the blanks at their ends."""
    result = inside(store, ns, lambda: run(argv, timeout_s=PATIENCE_S))
    assert result.returncode == 0, result.stderr
    return [line.rstrip() for line in result.stdout.splitlines()]


def seen(store: LocalStore, wanted: State) -> Observation:
    """What is found, with the sysctls of `wanted`."""
    return observe(store, sysctls=[fact for fact in wanted if isinstance(fact, Sysctl)])


def drift(store: LocalStore, wanted: State) -> Drift:
    return compare(wanted, seen(store, wanted).state)


def change(store: LocalStore, wanted: State) -> None:
    apply(store, wanted, seen(store, wanted))
