"""How many pods a node takes."""

from testbed.kubernetes.model import Node

MAX_PODS = 110  # kubelet's own --max-pods: kops 1.14 leaves it
SYSTEM_PODS = 1  # kube-proxy, which counts as a pod but which a topology does not list


def kubelet_max_pods(node: Node) -> int:
    """kubelet's --max-pods on this node, which may have its own."""
    return MAX_PODS if node.max_pods is None else node.max_pods


def room(node: Node) -> int:
    """How many pods of the topology the node takes beside kube-proxy."""
    return max(kubelet_max_pods(node) - SYSTEM_PODS, 0)
