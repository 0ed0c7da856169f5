"""How many pods a node takes, and how many ENIs and prefixes its instance type allows."""

import re

from testbed.eks.model import EksCluster
from testbed.eks.profiles import ERAS
from testbed.kubernetes.model import Node
from testbed.vpc.instance_types import limits
from testbed.vpc.prefixes import PREFIX_SIZE

# aws-node and kube-proxy run on every node, with the node's own address.  They need no address
# of an ENI but count as pods, for kubelet and in the formula; a topology does not list them.
SYSTEM_PODS = 2

# amazon-eks-ami, max-pods-calculator.sh: no more pods than this, by the number of vCPUs
MOST_PODS, MOST_PODS_MANY_VCPUS = 110, 250
MANY_VCPUS = 30
VCPUS_PER_XLARGE = 4  # m5.xlarge has 4, m5.8xlarge 32
FEW_VCPUS = ("a1.metal", "hpc7a.12xlarge", "hs1.8xlarge", "mac")  # despite of their sizes' names


def max_pods(instance_type: str) -> int:
    """kubelet's --max-pods as EKS sets it: every secondary address of every ENI, and two more.

    Source: amazon-vpc-cni-k8s, misc/eni-max-pods.txt.
    """
    allowed = limits(instance_type)
    return allowed.enis * (allowed.ipv4_per_eni - 1) + SYSTEM_PODS


def kubelet_max_pods(cluster: EksCluster, node: Node) -> int:
    """kubelet's --max-pods on this node, which may have its own.

    With custom networking eth0 carries no pods, with prefixes each slot carries sixteen; for
    both AWS has a script, which also sets a limit.  Source: amazon-eks-ami,
    max-pods-calculator.sh; to it, unlike to ipamD, only a nitro hypervisor means prefixes.
    """
    if node.max_pods is not None:
        return node.max_pods
    env, allowed = cluster.env, limits(node.instance_type)
    if not _wants_prefixes(cluster) and not env.custom_networking:
        return max_pods(node.instance_type)
    enis = most_enis(cluster, node) - int(env.custom_networking)
    prefixes = _wants_prefixes(cluster) and allowed.hypervisor == "nitro"
    per_slot = PREFIX_SIZE if prefixes else 1
    carried = enis * (allowed.ipv4_per_eni - 1) * per_slot + SYSTEM_PODS
    return min(carried, _ceiling(node.instance_type))


def most_enis(cluster: EksCluster, node: Node) -> int:
    """MAX_ENI, or what the instance type allows if that is less."""
    allowed = limits(node.instance_type).enis
    return min(cluster.env.max_eni or allowed, allowed)


def delegates_prefixes(cluster: EksCluster, node: Node) -> bool:
    """ENABLE_PREFIX_DELEGATION, where the instance type can; else ipamD falls back."""
    return _wants_prefixes(cluster) and limits(node.instance_type).takes_prefixes


def _wants_prefixes(cluster: EksCluster) -> bool:
    return ERAS[cluster.profile].delegates_prefixes and cluster.env.prefix_delegation


def room(cluster: EksCluster, node: Node) -> int:
    """How many pods of the topology the node takes beside aws-node and kube-proxy."""
    return max(kubelet_max_pods(cluster, node) - SYSTEM_PODS, 0)


def _ceiling(instance_type: str) -> int:
    """The script's limit; it asks EC2 for the vCPUs, here the size's name tells."""
    size = re.search(r"(?:metal-)?([0-9]*)x(?:large|l)$", instance_type)
    vcpus = int(size[1] or 1) * VCPUS_PER_XLARGE if size else 0
    many = vcpus > MANY_VCPUS or instance_type.endswith(".metal")
    if many and not instance_type.startswith(FEW_VCPUS):
        return MOST_PODS_MANY_VCPUS
    return MOST_PODS
