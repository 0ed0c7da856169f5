"""What EKS and EC2 would refuse of a cluster and its nodes; paths start at the cluster."""

from testbed.description import duplicates
from testbed.description.problem import Problem, Problems, names, quoted, unknown
from testbed.eks import networking
from testbed.eks.eni_config import by_names, eni_config, eni_config_name
from testbed.eks.fargate import checks as fargate_checks
from testbed.eks.model import EksCluster
from testbed.eks.profiles import ERAS
from testbed.errors import DescriptionError
from testbed.kubernetes.cni import bandwidth
from testbed.kubernetes.model import Node, Pod
from testbed.vpc.checks import instances as instance_checks
from testbed.vpc.instance_types import limits
from testbed.vpc.model import Vpc
from testbed.vpc.security.checks import interface_problems

METRICS, INTROSPECTION = 61678, 61679  # ports of aws-node, which is on its node's network
OTHER_DEVICES = ("eth", "vlan", "lo")  # prefixes amazon-vpc-cni-k8s refuses for its veths


def problems(cluster: EksCluster, vpc: Vpc) -> Problems:
    """Everything wrong with a cluster in its VPC."""
    yield from names((), cluster.name)
    yield from networking.problems(cluster, vpc)
    yield from instance_checks.problems("nodes", cluster.nodes, vpc, cluster.security_group)
    for pod in cluster.pods:
        if pod.eni is not None:
            yield from _eni(cluster, pod, pod.eni)
        yield from _host_ports(cluster, pod)
        for name in pod.annotations if cluster.env.bandwidth_plugin else ():
            message = "the plugin bandwidth (ENABLE_BANDWIDTH_PLUGIN) is not imitated"
            yield Problem(("pods", pod.netns, "annotations", name), message)
    yield from _eni_configs(cluster, vpc)
    yield from fargate_checks.problems(cluster, vpc)
    yield from of_environment(cluster)


def _host_ports(cluster: EksCluster, pod: Pod) -> Problems:
    """What aws-node serves on its node's network, a pod there cannot."""
    taken = {} if cluster.env.disable_metrics else {METRICS: "metrics"}
    if not cluster.env.disable_introspection:
        taken[INTROSPECTION] = "introspection"
    for container in pod.containers if pod.host_network else ():
        for i, port in enumerate(container.ports):
            if port.protocol != "udp" and port.number in taken:
                message = f"listen tcp :{port.number}: bind: address already in use"
                path = ("pods", pod.netns, "containers", container.name, "ports", i)
                yield Problem(path, f"{message}: aws-node has its {taken[port.number]} there")


def _eni_configs(cluster: EksCluster, vpc: Vpc) -> Problems:
    for twice in duplicates(config.name for config in cluster.eni_configs):
        yield Problem(("eniConfigs", twice), f"there are two ENIConfigs {quoted(twice)}")
    subnets = {subnet.name for subnet in vpc.subnets}
    for config in (by_names(config, vpc) for config in cluster.eni_configs):
        yield from names(("eniConfigs", config.name), config.name)
        if config.subnet not in subnets:
            message = unknown("subnet", config.subnet, subnets)
            yield Problem(("eniConfigs", config.name, "subnet"), message)
        made = (cluster.security_group,)
        for problem in interface_problems(config.security_groups, vpc, made):
            yield problem.under("eniConfigs", config.name, "securityGroups")


def warnings(cluster: EksCluster, vpc: Vpc) -> Problems:
    """Nodes whose ipamD will not do what the topology may have in mind."""
    env = cluster.env
    yield from bandwidth.without_effect(cluster.pods)
    yield from networking.warnings(cluster, vpc)
    for node in cluster.nodes:
        if env.prefix_delegation and not limits(node.instance_type).takes_prefixes:
            message = (
                f"Prefix delegation is not supported on non-nitro instance {node.instance_type}"
                " hence falling back to default (secondary IP) mode"
            )
            yield Problem(("nodes", node.name, "instanceType"), message)
        if env.custom_networking:
            yield from _no_eni(cluster, vpc, node)


def _no_eni(cluster: EksCluster, vpc: Vpc, node: Node) -> Problems:
    """Why a node gets no ENI for pods with custom networking."""
    subnets = {subnet.name: subnet for subnet in vpc.subnets}
    own = subnets[node.subnet]
    config = eni_config(cluster, vpc, node, own)
    if config is None:
        name = quoted(eni_config_name(cluster, node, own))
        message = f"there is no ENIConfig {name}, so its pods get no address"
        yield Problem(("nodes", node.name), message)
    elif subnets[config.subnet].availability_zone != own.availability_zone:
        where = f"its ENIConfig {quoted(config.name)} is in another zone"
        message = f"{where}, so its pods get no address"
        yield Problem(("nodes", node.name), message)


def of_environment(cluster: EksCluster) -> Problems:
    """What keeps aws-node from starting."""
    env, era = cluster.env, ERAS[cluster.profile]
    if era.checks_environment and env.veth_prefix in OTHER_DEVICES:
        message = f"{quoted(env.veth_prefix)} is how other devices of a node begin"
        yield Problem(("env", "AWS_VPC_K8S_CNI_VETHPREFIX"), message)
    targets = (env.warm_ip_target, env.warm_prefix_target, env.minimum_ip_target)
    if era.checks_environment and env.prefix_delegation and not any(targets):
        message = "0 needs WARM_IP_TARGET or MINIMUM_IP_TARGET where prefixes are delegated"
        yield Problem(("env", "WARM_PREFIX_TARGET"), message)
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


def _eni(cluster: EksCluster, pod: Pod, index: int) -> Problems:
    allowed = enis(cluster)
    where = quoted(pod.node) if pod.node else "any node of the cluster"
    most = allowed.get(pod.node, 1) if pod.node else max(allowed.values(), default=1)
    if index >= most:
        message = f"{where} has at most {most} ENIs, number 0 to {most - 1}, so none is {index}"
        yield Problem(("pods", pod.netns, "eni"), message)
