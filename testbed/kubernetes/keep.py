"""What of an earlier run still holds, as far as the topology says anything of a pod."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from testbed.kubernetes.model import Node, Pod
from testbed.kubernetes.placement import Pending, PodAddress


class Cluster(Protocol):
    """What both kinds of cluster have."""

    @property
    def name(self) -> str:
        """The cluster's name."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Its worker nodes."""

    @property
    def pods(self) -> tuple[Pod, ...]:
        """Its pods."""


def still_placed(
    cluster: Cluster, before: Iterable[PodAddress]
) -> Iterator[tuple[Pod, PodAddress]]:
    """The cluster's pods that may stay on their node, each with its place.

    Whether the address is still there is for the network plugin to say.
    """
    pods = {pod.netns: pod for pod in cluster.pods}
    nodes = {node.name for node in cluster.nodes}
    for placed in before:
        pod = pods.get(placed.pod)
        if pod is None or (placed.cluster, placed.node in nodes) != (cluster.name, True):
            continue
        if pod.node in ("", placed.node) and pod.host_network == placed.host_network:
            yield pod, placed


def still_bound(cluster: Cluster, waiting: Iterable[Pending]) -> Iterator[tuple[str, str]]:
    """Pods that waited for an address: the scheduler does not move a pod it has bound."""
    nodes = {node.name for node in cluster.nodes}
    pods = {pod.netns: pod for pod in cluster.pods}
    for pending in waiting:
        pod = pods.get(pending.pod)
        mine = pending.cluster == cluster.name and pending.node in nodes
        if pod and mine and pod.node in ("", pending.node):
            yield pending.pod, pending.node
