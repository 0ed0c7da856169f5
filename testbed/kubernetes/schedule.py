"""Which node each pod runs on: kube-scheduler reduced to node names and room for pods."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from testbed.kubernetes.model import Pod


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
    for node in nodes.values():
        left[node] -= 1
    unschedulable: dict[str, str] = {}
    for pod in pods:
        if pod.netns in nodes:
            continue
        node = pod.node or max(left, key=left.__getitem__, default="")
        if left.get(node, 0) > 0:
            nodes[pod.netns] = node
            left[node] -= 1
        else:
            unschedulable[pod.netns] = _reason(pod, len(room))
    return Schedule(nodes, unschedulable)


def _reason(pod: Pod, count: int) -> str:
    """kube-scheduler's words; it sorts its reasons as text.

    A pod that names its node is scheduled as if by a node selector that only this node has.
    """
    if count == 0:
        return "no nodes available to schedule pods"
    if pod.node and count > 1:
        others = f"{count - 1} node(s) didn't match Pod's node affinity/selector"
        reasons = ", ".join(sorted(["1 Too many pods", others]))
    else:
        reasons = f"{count} Too many pods"
    return f"0/{count} nodes are available: {reasons}."
