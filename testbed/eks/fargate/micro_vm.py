"""A pod on Fargate: a virtual machine of its own, whose network the pod has for itself.

EKS User Guide, "Simplify compute management with AWS Fargate": every pod has its own kernel and
network interface, and kubelet and kube-proxy beside it; nothing of amazon-vpc-cni-k8s.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address

from testbed.net.facts import Fact, Netns, Route
from testbed.net.served import metadata
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.instance import JUMBO, primary_facts
from testbed.vpc.fabric.metadata import private_name
from testbed.vpc.fabric.namespaces import end_system
from testbed.vpc.fabric.routing import host
from testbed.vpc.model import Subnet, Vpc


def node_name(address: IPv4Address, vpc: Vpc) -> str:
    """The node that Kubernetes sees: `fargate-ip-10-0-1-23.us-west-2.compute.internal`."""
    return f"fargate-{private_name(address, vpc)}"


def pod_facts(eni: Eni, subnet: Subnet) -> Iterator[Fact]:
    """eth0 is the ENI itself and its primary address the pod's: no veth, no rules of ipamD.

    default via 10.0.1.1 dev eth0
    10.0.1.0/24 dev eth0 proto kernel scope link src 10.0.1.23      (implied by the address)
    unreachable 169.254.169.254
    """
    ns = eni.instance
    yield Netns(ns=ns, why="a pod on Fargate: a virtual machine of its own")
    yield from end_system(ns)
    yield from primary_facts(eni, subnet, JUMBO)
    yield Route(
        ns=ns,
        dst=host(metadata.ADDRESS),
        kind="unreachable",
        why="pods on Fargate have no instance metadata (EKS User Guide, Fargate considerations)",
    )
