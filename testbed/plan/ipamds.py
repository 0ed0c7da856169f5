"""What each EKS node's ipamD tells of itself, and at which ports."""

import re
from collections import defaultdict
from collections.abc import Iterator
from ipaddress import IPv4Address

from testbed.allocations import Allocations
from testbed.eks.checks import METRICS
from testbed.eks.eni_config import KEY, eni_config_name
from testbed.eks.ipamd.introspection.datastore import HeldAddress, Introspection, StoredEni
from testbed.eks.ipamd.introspection.metrics import Metrics
from testbed.eks.ipamd.introspection.settings import ipamd_settings, network_settings
from testbed.eks.ipamd.runs.node import keeps_pods_out
from testbed.eks.ipamd.settings import settings
from testbed.eks.model import EksCluster
from testbed.eks.profiles import ERAS
from testbed.eks.wiring.node import eni_table
from testbed.kubernetes.model import Node
from testbed.lab import Lab
from testbed.net.facts import IpAddress
from testbed.net.served.endpoints import EVERY_ADDRESS, Listener, Site
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.metadata import identifier
from testbed.vpc.model import Subnet, Vpc

BOUND = re.compile(r"([0-9.]*):([0-9]{1,5})")  # Go's net.Listen; `:61679` is every address


def ipamd_listeners(lab: Lab, allocations: Allocations) -> Iterator[Listener]:
    """Introspection and metrics of every EKS node, as far as they are not switched off."""
    told = introspections(lab, allocations)
    for cluster in lab.clusters:
        if isinstance(cluster, EksCluster):
            for node in cluster.nodes:
                yield from _of_node(cluster, node, told[node.name])


def introspections(lab: Lab, allocations: Allocations) -> dict[str, Introspection]:
    """The data store of each EKS node's ipamD, by the node's name."""
    enis, pods = defaultdict(list), defaultdict(list)
    forgotten: set[str] = set()
    known = {pod.netns: pod for cluster in lab.clusters for pod in cluster.pods}
    for eni in allocations.enis:
        enis[eni.instance].append(eni)
    for memory in allocations.memories:
        forgotten.update(memory.forgotten)
        for one in memory.leaked:
            held = HeldAddress(one.ip, one.namespace, one.name, one.container)
            pods[memory.node].append(held)
    for placed in allocations.pods:
        if not placed.host_network and placed.pod not in forgotten:
            pod = known[placed.pod]
            held = HeldAddress(placed.ip, pod.namespace, pod.name, pod.sandbox)
            pods[placed.node].append(held)
    vpcs = {vpc.name: vpc for vpc in lab.vpcs}
    return {
        node.name: _told(cluster, vpcs[cluster.vpc], node, enis[node.name], pods[node.name])
        for cluster in lab.clusters
        if isinstance(cluster, EksCluster)
        for node in cluster.nodes
    }


def _told(
    cluster: EksCluster, vpc: Vpc, node: Node, enis: list[Eni], pods: list[HeldAddress]
) -> Introspection:
    subnets = {subnet.name: subnet for subnet in vpc.subnets}
    env, discovers = cluster.env, settings(cluster, node).subnet_discovery
    return Introspection(
        profile=cluster.profile,
        eni_config=eni_config_name(cluster, node, subnets[node.subnet]),
        eni_configs=tuple(
            (one.name, one.subnet, one.security_groups) for one in cluster.eni_configs
        ),
        eni_config_keys=(env.eni_config_annotation or KEY, env.eni_config_label or KEY),
        network=tuple(network_settings(env, ERAS[cluster.profile])),
        ipamd=tuple(ipamd_settings(env, ERAS[cluster.profile])),
        enis=tuple(
            _stored(vpc, eni, excluded=discovers and _closed(cluster, subnets[eni.subnet]))
            for eni in enis
        ),
        pods=tuple(pods),
    )


def _closed(cluster: EksCluster, subnet: Subnet) -> bool:
    return keeps_pods_out(subnet, cluster.env.cluster_name)


def _stored(vpc: Vpc, eni: Eni, *, excluded: bool) -> StoredEni:
    return StoredEni(
        eni.id,
        eni.device_index,
        eni_table(eni.device_index),
        identifier("subnet", vpc.name, eni.subnet),
        eni.secondary,
        eni.prefixes,
        excluded,
    )


def _of_node(cluster: EksCluster, node: Node, told: Introspection) -> Iterator[Listener]:
    env, rules = cluster.env, settings(cluster, node)
    bound = BOUND.fullmatch(env.introspection_address)
    if bound and not env.disable_introspection:
        yield _listener(node, IPv4Address(bound[1] or EVERY_ADDRESS), int(bound[2]), told)
    if not env.disable_metrics:
        backend = cluster.connmark_backend if ERAS[cluster.profile].marks_outbound else ""
        most = rules.max_enis * rules.addresses_per_eni
        metrics = Metrics(told, rules.max_enis, most, backend)
        yield _listener(node, EVERY_ADDRESS, METRICS, metrics)


def _listener(node: Node, address: IpAddress, port: int, site: Site) -> Listener:
    return Listener(
        netns=node.name,
        port=port,
        protocol="http",
        pod="aws-node",
        node=node.name,
        address=address,
        site=site,
    )
