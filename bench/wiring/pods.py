"""The pods that everybody wires: what `floor/pods.c` does, as values and as facts."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import NamedTuple

from testbed.net.facts import (
    ANYWHERE,
    MAIN,
    Address,
    Fact,
    Neighbour,
    Netns,
    Route,
    Rule,
    Veth,
)

ON_A_NODE = 30
MTU = 9001
GATEWAY = IPv4Address("169.254.1.1")
TO_POD, FROM_POD, ENI_TABLE = 512, 1536, 2
_FIRST = int(IPv4Address("10.0.1.0"))
_GATEWAY_ONLY = IPv4Network(GATEWAY)


class PodWiring(NamedTuple):
    """A pod and its end on the node."""

    name: str
    node: str
    ip: IPv4Address
    mac: str
    veth: str
    veth_mac: str


def pods(count: int) -> Iterator[PodWiring]:
    """So many pods, thirty on a node."""
    for i in range(count):
        number = ":".join(f"{byte:02x}" for byte in i.to_bytes(4, "big"))
        yield PodWiring(
            name=f"pod-{i}",
            node=f"node-{i // ON_A_NODE}",
            ip=IPv4Address(_FIRST + i),
            mac=f"02:01:{number}",
            veth=f"eni{i:08x}",
            veth_mac=f"02:02:{number}",
        )


def facts(count: int) -> Iterator[Fact]:
    """The same as facts."""
    for node in range(-(-count // ON_A_NODE)):
        yield Netns(ns=f"node-{node}")
    for pod in pods(count):
        yield from _pod_facts(pod)


def _pod_facts(pod: PodWiring) -> Iterator[Fact]:
    name, node, veth = pod.name, pod.node, pod.veth
    only = IPv4Network(pod.ip)
    yield Netns(ns=name)
    yield Veth(ns=name, name="eth0", peer_ns=node, peer=veth, mac=pod.mac, mtu=MTU)
    yield Veth(ns=node, name=veth, peer_ns=name, peer="eth0", mac=pod.veth_mac, mtu=MTU)
    yield Address(ns=name, dev="eth0", ip=IPv4Interface(pod.ip))
    yield Route(ns=name, dst=_GATEWAY_ONLY, dev="eth0", scope="link")
    yield Route(ns=name, dst=ANYWHERE, dev="eth0", via=GATEWAY)
    yield Neighbour(ns=name, dev="eth0", ip=GATEWAY, mac=pod.veth_mac)
    yield Route(ns=node, dst=only, dev=veth, scope="link")
    yield Rule(ns=node, priority=TO_POD, dst=only, table=MAIN)
    yield Rule(ns=node, priority=FROM_POD, src=only, table=ENI_TABLE)
