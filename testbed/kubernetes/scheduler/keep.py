"""What of an earlier run still holds, as far as the topology says anything of a pod."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from testbed.kubernetes.model import Pod
from testbed.kubernetes.placement import Pending, PodAddress
from testbed.kubernetes.scheduler.schedule import Host


class Cluster(Protocol):
    """What both kinds of cluster have."""

    @property
    def name(self) -> str:
        """The cluster's name."""

    @property
    def pods(self) -> tuple[Pod, ...]:
        """Its pods."""


def still_placed(
    cluster: Cluster, nodes: Iterable[Host], before: Iterable[PodAddress]
) -> Iterator[tuple[Pod, PodAddress]]:
    """The cluster's pods that may stay on their node, each with its place.

    nodes: the cluster's.  A pod that asks for another node is a new one, as one is that a taint
    evicts.  Whether the address is still there is for the network plugin to say.
    """
    pods = {pod.netns: pod for pod in cluster.pods}
    by_name = {node.name: node for node in nodes}
    for placed in before:
        pod, node = pods.get(placed.pod), by_name.get(placed.node)
        if pod is None or node is None or placed.cluster != cluster.name:
            continue
        stays = node.suits(pod) and not node.evicts(pod)
        if stays and pod.host_network == placed.host_network:
            yield pod, placed


def still_bound(
    cluster: Cluster, nodes: Iterable[Host], waiting: Iterable[Pending]
) -> Iterator[tuple[str, str]]:
    """Pods that waited for an address: the scheduler does not move a pod it has bound."""
    by_name = {node.name: node for node in nodes}
    pods = {pod.netns: pod for pod in cluster.pods}
    for pending in waiting:
        pod, node = pods.get(pending.pod), by_name.get(pending.node)
        if pod and node and pending.cluster == cluster.name and node.suits(pod):
            yield pending.pod, pending.node
