"""How many pods a node takes."""

from testbed.kubernetes.model import Node
from testbed.vpc.instance_types import limits

# aws-node and kube-proxy run on every node, with the node's own address.  They need no address
# of an ENI but count as pods, for kubelet and in the formula; a topology does not list them.
SYSTEM_PODS = 2


def max_pods(instance_type: str) -> int:
    """kubelet's --max-pods as EKS sets it: every secondary address of every ENI, and two more.

    Source: amazon-vpc-cni-k8s, misc/eni-max-pods.txt.
    """
    allowed = limits(instance_type)
    return allowed.enis * (allowed.ipv4_per_eni - 1) + SYSTEM_PODS


def kubelet_max_pods(node: Node) -> int:
    """kubelet's --max-pods on this node, which may have its own."""
    return max_pods(node.instance_type) if node.max_pods is None else node.max_pods


def room(node: Node) -> int:
    """How many pods of the topology the node takes beside aws-node and kube-proxy."""
    return max(kubelet_max_pods(node) - SYSTEM_PODS, 0)
