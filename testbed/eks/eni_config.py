"""Custom networking: which ENIConfig a node goes by.

Source: amazon-vpc-cni-k8s v1.23.1 pkg/eniconfig/eniconfig.go, GetNodeSpecificENIConfigName.
"""

from dataclasses import replace

from testbed.eks.limits import most_enis
from testbed.eks.model import EksCluster, EniConfig
from testbed.eks.profiles import ERAS
from testbed.kubernetes.labels import node_labels
from testbed.kubernetes.model import Node
from testbed.vpc.fabric.metadata import identifier
from testbed.vpc.model import Subnet, Vpc

EXTERNAL = "vpc.amazonaws.com/externalEniConfig"  # a label set from outside; it comes first
KEY = "k8s.amazonaws.com/eniConfig"  # of the annotation and of the label, unless told otherwise
DEFAULT = "default"


def eni_config_name(cluster: EksCluster, node: Node, subnet: Subnet) -> str:
    """The name a node's label or annotation says; without one it is `default`.

    subnet: the node's.
    """
    labels, annotations = node_labels(node, subnet), node.annotations or {}
    env = cluster.env
    told = [
        labels.get(EXTERNAL) if ERAS[cluster.profile].external_eni_config else None,
        annotations.get(env.eni_config_annotation or KEY),
        labels.get(env.eni_config_label or KEY),
    ]
    return next((name for name in told if name is not None), DEFAULT)


def eni_config(cluster: EksCluster, vpc: Vpc, node: Node, subnet: Subnet) -> EniConfig | None:
    """The cluster's ENIConfig of that name, if it is there; its parts by their names."""
    name = eni_config_name(cluster, node, subnet)
    found = (config for config in cluster.eni_configs if config.name == name)
    return next((by_names(config, vpc) for config in found), None)


def by_names(config: EniConfig, vpc: Vpc) -> EniConfig:
    """An ENIConfig that has the names of subnet and groups where their ids were written."""
    subnets = {identifier("subnet", vpc.name, one.name): one.name for one in vpc.subnets}
    groups = {identifier("sg", vpc.name, one.name): one.name for one in vpc.security_groups}
    return replace(
        config,
        subnet=subnets.get(config.subnet, config.subnet),
        security_groups=tuple(groups.get(one, one) for one in config.security_groups),
    )


def custom_groups(cluster: EksCluster, vpc: Vpc) -> dict[str, tuple[str, ...]]:
    """The security groups of ENIs for pods that an ENIConfig gives some, by `node/1`."""
    if not cluster.env.custom_networking:
        return {}
    subnets = {subnet.name: subnet for subnet in vpc.subnets}
    configs = [
        (node, eni_config(cluster, vpc, node, subnets[node.subnet])) for node in cluster.nodes
    ]
    return {
        f"{node.name}/{i}": config.security_groups
        for node, config in configs
        if config and config.security_groups
        for i in range(1, most_enis(cluster, node))
    }
