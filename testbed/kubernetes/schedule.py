"""Which node each pod runs on: kube-scheduler reduced to node names and room for pods."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from types import MappingProxyType
from typing import NamedTuple

from testbed.kubernetes.model import Pod

EVERY_ADDRESS = IPv4Address("0.0.0.0")
NO_TAINTS: Mapping[str, str] = MappingProxyType({})
NETWORK_UNAVAILABLE = "node.kubernetes.io/network-unavailable"  # a node without a route
NOT_READY = "node.kubernetes.io/not-ready"  # one whose network plugin has no range for pods


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


def schedule(
    room: Mapping[str, int],
    pods: Iterable[Pod],
    bound: Mapping[str, str],
    taints: Mapping[str, str] = NO_TAINTS,
) -> Schedule:
    """Every pod bound to a node, or the reason why not.

    room: how many pods each node takes.  bound: pods that have their node already; they stay,
    also on a node that is too full now.  taints: of nodes that take only pods that name them; no
    pod tolerates one.  A pod that names a node goes there, any other to the node with most room,
    the first of equals.
    """
    pods = tuple(pods)
    nodes = {pod.netns: bound[pod.netns] for pod in pods if pod.netns in bound}
    places = _Places(dict(room), {node: set() for node in room}, taints)
    for pod in pods:
        if pod.netns in nodes:
            places.take(nodes[pod.netns], pod)
    unschedulable: dict[str, str] = {}
    for pod in pods:
        if pod.netns in nodes:
            continue
        node = max(places.free(pod), key=places.left.__getitem__, default="")
        if node:
            nodes[pod.netns] = node
            places.take(node, pod)
        else:
            unschedulable[pod.netns] = places.reason(pod)
    return Schedule(nodes, unschedulable)


@dataclass(frozen=True)
class _Places:
    """The nodes while pods come to them: how many each takes yet, and which ports are taken."""

    left: dict[str, int]
    taken: dict[str, set[HostSocket]]
    taints: Mapping[str, str]

    def take(self, node: str, pod: Pod) -> None:
        """The pod is there."""
        self.left[node] -= 1
        self.taken[node] |= _host_sockets(pod)

    def free(self, pod: Pod) -> list[str]:
        """The nodes that take a pod."""
        wanted = _host_sockets(pod)
        asked = [pod.node] if pod.node else self.left
        roomy = [one for one in asked if self.left.get(one, 0) > 0]
        if self.taints and not pod.node:
            roomy = [one for one in roomy if one not in self.taints]
        return [one for one in roomy if not self._clash(wanted, one)] if wanted else roomy

    def reason(self, pod: Pod) -> str:
        """kube-scheduler's words for a pod that no node takes; it sorts its reasons as text.

        A pod that names its node is scheduled as if by a node selector that only this node has.
        """
        if not self.left:
            return "no nodes available to schedule pods"
        wanted = _host_sockets(pod)
        counted = Counter(self._refusal(pod, wanted, node) for node in self.left)
        reasons = ", ".join(sorted(f"{number} {what}" for what, number in counted.items()))
        return f"0/{len(self.left)} nodes are available: {reasons}."

    def _refusal(self, pod: Pod, wanted: set[HostSocket], node: str) -> str:
        """The first of kube-scheduler's filters that a node does not pass."""
        if node in self.taints and node != pod.node:
            return f"node(s) had untolerated taint {{{self.taints[node]}: }}"
        if pod.node not in ("", node):
            return "node(s) didn't match Pod's node affinity/selector"
        if self._clash(wanted, node):
            return "node(s) didn't have free ports for the requested pod ports"
        return "Too many pods"

    def _clash(self, wanted: set[HostSocket], node: str) -> bool:
        return any(one.clashes(other) for one in wanted for other in self.taken[node])


def _host_sockets(pod: Pod) -> set[HostSocket]:
    """The node's ports a pod takes: its hostPorts; all of them on the node's own network."""
    return {
        HostSocket(port.transport, port.host_port or port.number, port.host_ip or EVERY_ADDRESS)
        for port in (pod.served if pod.host_network else pod.host_ports)
    }
