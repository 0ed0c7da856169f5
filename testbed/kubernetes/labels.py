"""The labels a node has: those Kubernetes and its cloud provider set, and the topology's."""

import re
from collections.abc import Mapping

from testbed.kubernetes.model import Node
from testbed.vpc.model import Subnet


def node_labels(node: Node, subnet: Subnet) -> Mapping[str, str]:
    """kubernetes.io, "Well-Known Labels, Annotations and Taints"; the topology's own win."""
    zone = subnet.availability_zone
    region = re.sub(r"(?<=[0-9])[a-z]$", "", zone)
    return {
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
        "beta.kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": node.instance_type,
        "beta.kubernetes.io/instance-type": node.instance_type,
        "topology.kubernetes.io/zone": zone,
        "topology.kubernetes.io/region": region,
        "failure-domain.beta.kubernetes.io/zone": zone,
        "failure-domain.beta.kubernetes.io/region": region,
        **(node.labels or {}),
    }
