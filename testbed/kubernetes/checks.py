"""What Kubernetes would refuse of nodes and pods; paths start at the cluster."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from testbed.description import duplicates
from testbed.description.ports import Port
from testbed.description.problem import Path, Problem, Problems, names, quoted, unknown
from testbed.kubernetes import validation
from testbed.kubernetes.cni import bandwidth
from testbed.kubernetes.model import Node, Pod
from testbed.kubernetes.scheduler import checks as scheduling

# Namespaces of the VPCs and of the outside, this lab's and those a later change may bring.
RESERVED = ("vpc-", "igw-")
OUTSIDE = "internet"


@dataclass(frozen=True)
class Socket:
    """A port that somebody listens on, and where the topology says so."""

    path: Path
    owner: str
    port: Port

    @property
    def listens(self) -> tuple[str, int]:
        """Transport and number."""
        return (self.port.transport, self.port.number)


def problems(nodes: tuple[Node, ...], pods: tuple[Pod, ...]) -> Problems:
    """Everything wrong with the nodes and pods of one cluster."""
    for node in nodes:
        yield from _name(("nodes", node.name), node.name)
        yield from validation.labels(("nodes", node.name, "labels"), node.labels or {})
        for problem in scheduling.of_node(node.taints):
            yield problem.under("nodes", node.name)
    hosts = {node.name for node in nodes}
    for pod in pods:
        for problem in _pod(pod, hosts):
            yield problem.under("pods", pod.netns)
    yield from _host_network_ports(pods)


def _name(path: Path, name: str) -> Problems:
    yield from names(path, name)
    if name == OUTSIDE or name.startswith(RESERVED):
        yield Problem(path, f"the name {quoted(name)} is kept for a part of the VPC")


def _pod(pod: Pod, hosts: set[str]) -> Problems:
    yield from _name((), pod.name)
    yield from names(("namespace",), pod.namespace)
    yield from validation.labels(("labels",), pod.labels or {})
    yield from scheduling.of_pod(pod)
    for key, label in (("hostname", pod.hostname), ("subdomain", pod.subdomain)):
        if label:
            yield from names((key,), label)
    if pod.node and pod.node not in hosts:
        yield Problem(("node",), unknown("node", pod.node, hosts))
    if pod.host_network and pod.eni is not None:
        yield Problem(("eni",), "a pod with hostNetwork has its node's address, none of an ENI")
    if not pod.containers:
        yield Problem(("containers",), "a pod has at least one container")
    for twice in duplicates(container.name for container in pod.containers):
        yield Problem(("containers", twice), f"the pod has two containers {quoted(twice)}")
    for container in pod.containers:
        yield from names(("containers", container.name), container.name)
    yield from (one.under("annotations") for one in bandwidth.problems(pod.annotations))
    yield from _host_ports(pod)
    yield from _clashes(_sockets(pod), "the containers of a pod share its network namespace")


def _host_ports(pod: Pod) -> Problems:
    """Kubernetes' words (v1.14, pkg/apis/core/validation)."""
    seen: set[tuple[str, int, IPv4Address | None]] = set()
    for path, port in _ports(pod):
        if port.name:
            yield from validation.port_name((*path, "name"), port.name)
        if port.host_port is None:
            continue
        if pod.host_network and port.host_port != port.number:
            message = "must match `containerPort` when `hostNetwork` is true"
            yield Problem((*path, "hostPort"), message)
        key = (port.transport, port.host_port, port.host_ip)
        if key in seen:
            message = f"the pod has hostPort {port.host_port} for {port.transport.upper()} already"
            yield Problem((*path, "hostPort"), message)
        seen.add(key)


def _host_network_ports(pods: tuple[Pod, ...]) -> Problems:
    """Pods with hostNetwork serve in their node's namespace."""
    pods = tuple(pod for pod in pods if pod.host_network and pod.node)
    for node in sorted({pod.node for pod in pods}):
        here = (
            replace(one, path=("pods", pod.netns, *one.path), owner=f"pod {quoted(pod.netns)}")
            for pod in pods
            if pod.node == node
            for one in _sockets(pod)
        )
        yield from _clashes(here, f"pods with hostNetwork share the ports of {node}")


def _sockets(pod: Pod) -> Iterator[Socket]:
    for path, port in _ports(pod):
        yield Socket(path, f"container {quoted(str(path[1]))}", port)


def _ports(pod: Pod) -> Iterator[tuple[Path, Port]]:
    for container in pod.containers:
        for i, port in enumerate(container.ports):
            yield ("containers", container.name, "ports", i), port


def _clashes(sockets: Iterator[Socket], why: str) -> Problems:
    """Sockets that cannot listen, because another has their transport and port."""
    taken: dict[tuple[str, int], Socket] = {}
    for socket in sockets:
        first = taken.setdefault(socket.listens, socket)
        if first is not socket:
            transport, number = socket.listens
            message = f"{first.owner} listens on {transport.upper()} port {number} already; {why}"
            yield Problem(socket.path, message)
