"""The settings that ipamD says it goes by.  GetConfigForDebug of both releases."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

from testbed.eks.environment import CniSettings
from testbed.eks.ipamd.introspection.datastore import Setting
from testbed.eks.profiles import Era

SNAT = {"none": 0, "hashrandom": 1, "prng": 2}  # networkutils: snatType


def network_settings(env: CniSettings, era: Era) -> Iterator[Setting]:
    """Of the node's rules; how ports are chosen is a number."""
    yield "AWS_VPC_CNI_NODE_PORT_SUPPORT", env.node_port_support
    yield "AWS_VPC_K8S_CNI_CONNMARK", env.connmark
    yield "AWS_VPC_K8S_CNI_EXTERNALSNAT", env.external_snat
    yield "AWS_VPC_K8S_CNI_RANDOMIZESNAT", SNAT[env.randomize_snat or era.random_port]
    if era.plugin_settings:
        yield "AWS_EXTERNAL_SERVICE_CIDRS", _listed(env.external_service_cidrs)
        yield "AWS_VPC_ENI_MTU", env.eni_mtu
        yield "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", _listed(env.exclude_snat_cidrs)
        yield "AWS_VPC_K8S_CNI_VETHPREFIX", env.veth_prefix


def ipamd_settings(env: CniSettings, era: Era) -> Iterator[Setting]:
    """Of its pool of addresses."""
    yield "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", env.custom_networking
    yield "WARM_ENI_TARGET", env.warm_eni_target
    yield "WARM_IP_TARGET", env.warm_ip_target
    if era.plugin_settings:
        yield "AWS_MANAGE_ENIS_NON_SCHEDULABLE", env.manage_cordoned
        yield "ENABLE_SUBNET_DISCOVERY", env.subnet_discovery


def _listed(cidrs: Iterable[IPv4Network]) -> tuple[str, ...] | None:
    return tuple(map(str, cidrs)) or None
