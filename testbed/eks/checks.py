"""What EKS and EC2 would refuse of a cluster and its nodes; paths start at the cluster."""

from testbed.description import duplicates
from testbed.description.problem import Problem, Problems, names, quoted
from testbed.eks.model import EksCluster
from testbed.eks.profiles import ERAS
from testbed.errors import DescriptionError
from testbed.kubernetes.model import Node, Pod
from testbed.vpc import instance_checks
from testbed.vpc.instance_types import limits
from testbed.vpc.model import Vpc

ZONES = 2  # EKS User Guide, "Amazon EKS networking requirements for VPC and subnets"
OTHER_DEVICES = ("eth", "vlan", "lo")  # prefixes amazon-vpc-cni-k8s refuses for its veths


def problems(cluster: EksCluster, vpc: Vpc) -> Problems:
    """Everything wrong with a cluster in its VPC."""
    yield from names((), cluster.name)
    yield from _zones(vpc)
    yield from instance_checks.problems("nodes", cluster.nodes, vpc)
    for pod in cluster.pods:
        if pod.eni is not None:
            yield from _eni(cluster, pod, pod.eni)
    yield from of_environment(cluster)


def of_environment(cluster: EksCluster) -> Problems:
    """What keeps aws-node from starting."""
    env, era = cluster.env, ERAS[cluster.profile]
    if env.veth_prefix in OTHER_DEVICES:
        message = f"{quoted(env.veth_prefix)} is how other devices of a node begin"
        yield Problem(("env", "AWS_VPC_K8S_CNI_VETHPREFIX"), message)
    for cidr in duplicates(map(str, env.external_service_cidrs)):
        message = f"{cidr} is there twice; ipamD fails at the second rule for it: it exists"
        yield Problem(("env", "AWS_EXTERNAL_SERVICE_CIDRS"), message)
    if cluster.connmark_backend == "nftables" and not era.marks_outbound:
        message = f"amazon-vpc-cni-k8s {era.release} marks nothing in nat PREROUTING"
        yield Problem(("connmarkBackend",), message)


def enis(cluster: EksCluster) -> dict[str, int]:
    """How many ENIs each node may have; one for a type that is not known."""
    most = cluster.env.max_eni or max((_enis(node) for node in cluster.nodes), default=1)
    return {node.name: min(_enis(node), most) for node in cluster.nodes}


def _enis(node: Node) -> int:
    try:
        return limits(node.instance_type).enis
    except DescriptionError:
        return 1


def _zones(vpc: Vpc) -> Problems:
    zones = {subnet.availability_zone for subnet in vpc.subnets}
    if len(zones) < ZONES:
        message = (
            f"Subnets specified must be in at least two different AZs; those of VPC"
            f" {quoted(vpc.name)} are in {' '.join(zones) or 'none'}"
        )
        # awsdocs/amazon-eks-user-guide #795 quotes the API's answer
        yield Problem(("vpc",), message, "InvalidParameterException")


def _eni(cluster: EksCluster, pod: Pod, index: int) -> Problems:
    allowed = enis(cluster)
    where = quoted(pod.node) if pod.node else "any node of the cluster"
    most = allowed.get(pod.node, 1) if pod.node else max(allowed.values(), default=1)
    if index >= most:
        message = f"{where} has at most {most} ENIs, number 0 to {most - 1}, so none is {index}"
        yield Problem(("pods", pod.name, "eni"), message)
