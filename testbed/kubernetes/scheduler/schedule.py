"""Which node each pod runs on: kube-scheduler's filters, and those of its scores that matter."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from types import MappingProxyType
from typing import NamedTuple

from testbed.kubernetes.labels import node_labels
from testbed.kubernetes.model import Node, Pod
from testbed.kubernetes.scheduler.terms import Effect, Labels, Taint, unborne
from testbed.vpc.model import Vpc

EVERY_ADDRESS = IPv4Address("0.0.0.0")

# What Kubernetes itself taints: a node without a route, and one whose plugin has no range for pods
NETWORK_UNAVAILABLE = Taint("node.kubernetes.io/network-unavailable", "NoSchedule")
NOT_READY = Taint("node.kubernetes.io/not-ready", "NoSchedule")


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
class Host:
    """A node as the scheduler sees it.  room: how many pods it takes."""

    name: str
    room: int
    labels: Labels = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()

    def suits(self, pod: Pod) -> bool:
        """Whether its labels are what the pod asks for.

        A pod that names its node is scheduled as if by a node selector that only this node has.
        """
        return (
            pod.node in ("", self.name)
            and all(self.labels.get(key) == value for key, value in pod.node_selector.items())
            and pod.affinity.required(self.name, self.labels)
        )

    def keeps_off(self, pod: Pod) -> Taint | None:
        """The taint that the pod does not bear, if there is one.

        nodeName goes past the scheduler, but NoExecute would evict the pod at once.
        """
        named = pod.node == self.name
        effects: tuple[Effect, ...] = ("NoExecute",) if named else ("NoSchedule", "NoExecute")
        return next(iter(unborne(self.taints, pod.tolerations, *effects)), None)

    def evicts(self, pod: Pod) -> bool:
        """Whether a pod that runs there has to go (NoExecute)."""
        return bool(unborne(self.taints, pod.tolerations, "NoExecute"))

    def liking(self, pod: Pod) -> tuple[int, int]:
        """How well it suits beside other nodes: fewer taints to avoid, more preferred terms."""
        avoided = unborne(self.taints, pod.tolerations, "PreferNoSchedule")
        return -len(avoided), pod.affinity.preferred(self.name, self.labels)


def hosts(
    nodes: Sequence[Node],
    vpc: Vpc,
    rooms: Mapping[str, int],
    more: Mapping[str, Sequence[Taint]] = MappingProxyType({}),
) -> tuple[Host, ...]:
    """A cluster's nodes.  rooms, more: by name how many pods they take, and further taints."""
    subnets = {subnet.name: subnet for subnet in vpc.subnets}
    return tuple(
        Host(
            node.name,
            rooms[node.name],
            node_labels(node, subnets[node.subnet]),
            (*node.taints, *more.get(node.name, ())),
        )
        for node in nodes
    )


@dataclass(frozen=True)
class Schedule:
    """Pods by name: the node each is bound to, or why none takes it."""

    bound: Mapping[str, str]
    unschedulable: Mapping[str, str]


def schedule(nodes: Iterable[Host], pods: Iterable[Pod], bound: Mapping[str, str]) -> Schedule:
    """Every pod bound to a node, or the reason why not.

    bound: pods that have their node already; they stay, also on a node that is too full now.
    Of the nodes that take a pod it goes to the one it likes best, then to the one with most room,
    then to the first.
    """
    pods = tuple(pods)
    places = _Places({node.name: node for node in nodes})
    found = {pod.netns: bound[pod.netns] for pod in pods if pod.netns in bound}
    for pod in pods:
        if pod.netns in found:
            places.take(found[pod.netns], pod)
    unschedulable: dict[str, str] = {}
    for pod in pods:
        if pod.netns in found:
            continue
        node = places.best(pod)
        if node:
            found[pod.netns] = node
            places.take(node, pod)
        else:
            unschedulable[pod.netns] = places.reason(pod)
    return Schedule(found, unschedulable)


@dataclass(frozen=True)
class _Places:
    """The nodes while pods come to them (state: how many each has, and which ports they take)."""

    hosts: Mapping[str, Host]
    number: Counter[str] = field(default_factory=Counter)
    taken: dict[str, set[HostSocket]] = field(default_factory=dict)

    def take(self, node: str, pod: Pod) -> None:
        """The pod is there."""
        self.number[node] += 1
        if sockets := _host_sockets(pod):
            self.taken.setdefault(node, set()).update(sockets)

    def best(self, pod: Pod) -> str:
        """The node a pod goes to; empty where none takes it."""
        wanted = _host_sockets(pod)
        asked = [self.hosts[pod.node]] if pod.node in self.hosts else self.hosts.values()
        free = [host for host in asked if not self._refusal(pod, wanted, host)]
        found = max(free, key=lambda host: (*host.liking(pod), self._left(host)), default=None)
        return found.name if found else ""

    def reason(self, pod: Pod) -> str:
        """kube-scheduler's words for a pod that no node takes; it sorts its reasons as text."""
        if not self.hosts:
            return "no nodes available to schedule pods"
        wanted = _host_sockets(pod)
        counted = Counter(self._refusal(pod, wanted, host) for host in self.hosts.values())
        reasons = ", ".join(sorted(f"{number} {what}" for what, number in counted.items()))
        return f"0/{len(self.hosts)} nodes are available: {reasons}."

    def _left(self, host: Host) -> int:
        return host.room - self.number[host.name]

    def _refusal(self, pod: Pod, wanted: set[HostSocket], host: Host) -> str:
        """The first of kube-scheduler's filters that a node does not pass; empty for none."""
        if taint := host.keeps_off(pod):
            return f"node(s) had untolerated taint {taint}"
        if not host.suits(pod):
            return "node(s) didn't match Pod's node affinity/selector"
        if wanted and self._clash(wanted, host.name):
            return "node(s) didn't have free ports for the requested pod ports"
        return "" if self._left(host) > 0 else "Too many pods"

    def _clash(self, wanted: set[HostSocket], node: str) -> bool:
        return any(one.clashes(other) for one in wanted for other in self.taken.get(node, ()))


def _host_sockets(pod: Pod) -> set[HostSocket]:
    """The node's ports a pod takes: its hostPorts; all of them on the node's own network."""
    return {
        HostSocket(port.transport, port.host_port or port.number, port.host_ip or EVERY_ADDRESS)
        for port in (pod.served if pod.host_network else pod.host_ports)
    }
