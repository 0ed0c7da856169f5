"""Which node each pod runs on: kube-scheduler reduced to node names and room for pods."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import NamedTuple

from testbed.kubernetes.model import Pod

EVERY_ADDRESS = IPv4Address("0.0.0.0")


class HostSocket(NamedTuple):
    """A port of a node that a pod takes, on one of its addresses or on all."""

    transport: str
    number: int
    address: IPv4Address

    def clashes(self, other: "HostSocket") -> bool:
        """Whether one pod alone can have it (kube-scheduler, HostPortInfo.CheckConflict)."""
        everywhere = EVERY_ADDRESS in (self.address, other.address)
        return self[:2] == other[:2] and (everywhere or self.address == other.address)


@dataclass(frozen=True)
class Schedule:
    """Pods by name: the node each is bound to, or why none takes it."""

    bound: Mapping[str, str]
    unschedulable: Mapping[str, str]


def schedule(room: Mapping[str, int], pods: Iterable[Pod], bound: Mapping[str, str]) -> Schedule:
    """Every pod bound to a node, or the reason why not.

    room: how many pods each node takes.  bound: pods that have their node already; they stay,
    also on a node that is too full now.  A pod that names a node goes there, any other to the node
    with most room, the first of equals.
    """
    pods = tuple(pods)
    nodes = {pod.netns: bound[pod.netns] for pod in pods if pod.netns in bound}
    left = dict(room)
    taken: dict[str, set[HostSocket]] = {node: set() for node in room}
    for pod in pods:
        if pod.netns in nodes:
            left[nodes[pod.netns]] -= 1
            taken[nodes[pod.netns]] |= _host_sockets(pod)
    unschedulable: dict[str, str] = {}
    for pod in pods:
        if pod.netns in nodes:
            continue
        wanted = _host_sockets(pod)
        free = [node for node in room if not _clash(wanted, taken[node])]
        node = pod.node or max(free, key=left.__getitem__, default="")
        if node in free and left[node] > 0:
            nodes[pod.netns] = node
            left[node] -= 1
            taken[node] |= wanted
        else:
            busy = len(room) - len(free) if not pod.node else int(node not in free)
            unschedulable[pod.netns] = _reason(pod, len(room), busy)
    return Schedule(nodes, unschedulable)


def _host_sockets(pod: Pod) -> set[HostSocket]:
    """The node's ports a pod takes: its hostPorts; all of them on the node's own network."""
    return {
        HostSocket(port.transport, port.host_port or port.number, port.host_ip or EVERY_ADDRESS)
        for port in (pod.served if pod.host_network else pod.host_ports)
    }


def _clash(wanted: Iterable[HostSocket], taken: Iterable[HostSocket]) -> bool:
    return any(one.clashes(other) for one in wanted for other in taken)


def _reason(pod: Pod, count: int, busy: int) -> str:
    """kube-scheduler's words; it sorts its reasons as text.

    busy: nodes whose ports are taken.  A pod that names its node is scheduled as if by a node
    selector that only this node has.
    """
    if count == 0:
        return "no nodes available to schedule pods"
    asked = 1 if pod.node else count
    counted = {
        "Too many pods": asked - busy,
        "node(s) didn't have free ports for the requested pod ports": busy,
        "node(s) didn't match Pod's node affinity/selector": count - asked,
    }
    reasons = ", ".join(sorted(f"{number} {what}" for what, number in counted.items() if number))
    return f"0/{count} nodes are available: {reasons}."
