"""A cluster's kube-proxies: the ports they proxy, their nodes, and what they write there.

Pure; between the Lab with its Allocations and `services`, which knows neither.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address

from testbed.allocations import Allocations
from testbed.kops.ipam.host_local import gateway
from testbed.kops.model import KopsCluster
from testbed.kops.wiring.cluster import with_gateway
from testbed.kubernetes.kube_proxy import Era
from testbed.lab import Cluster, Lab
from testbed.net.facts import Fact
from testbed.net.served.endpoints import Listener
from testbed.services.endpoints import NOWHERE, Behind
from testbed.services.kube_proxy import conntrack
from testbed.services.kube_proxy.conntrack import Command
from testbed.services.kube_proxy.health import health_listeners, own_listeners
from testbed.services.kube_proxy.node import node_facts
from testbed.services.kube_proxy.ports import ProxiedPort, proxied_ports
from testbed.services.kube_proxy.rules import ProxyNode
from testbed.services.kube_proxy.sockets import held_ports
from testbed.services.kubelet import kubelet_facts
from testbed.vpc.model import Vpc

LOOPBACK = IPv4Address("127.0.0.1")


def proxy_facts(
    cluster: Cluster, allocations: Allocations, zones: Mapping[str, str]
) -> Iterator[Fact]:
    """kubelet's and kube-proxy's chains, jumps and sysctls on every node of a cluster.

    zones: of nodes, as `node_zones` has them.
    """
    for node in kubelets(cluster, allocations):
        yield from kubelet_facts(node, cluster.proxy)
    nodes = proxy_nodes(cluster, allocations, zones)
    yield from node_facts(nodes, proxied(cluster, allocations, zones), cluster.proxy)


def node_zones(vpcs: Iterable[Vpc], allocations: Allocations) -> dict[str, str]:
    """The availability zone of every instance."""
    zones = {
        (vpc.name, subnet.name): subnet.availability_zone for vpc in vpcs for subnet in vpc.subnets
    }
    return {
        eni.instance: zones[eni.vpc, eni.subnet]
        for eni in allocations.enis
        if eni.device_index == 0
    }


def kubelets(cluster: Cluster, allocations: Allocations) -> tuple[str, ...]:
    """Where kubelet and kube-proxy run: every node, and beside every pod on Fargate."""
    alone = (at.node for at in allocations.pods if at.cluster == cluster.name and at.on_fargate)
    return (*(node.name for node in cluster.nodes), *alone)


def era(cluster: Cluster) -> Era:
    """Which kube-proxy a cluster has."""
    chosen = cluster.proxy.era
    assert chosen, "clusters fill it in"
    return chosen


def behind(
    cluster: Cluster, allocations: Allocations, zones: Mapping[str, str] = NOWHERE
) -> Behind:
    """All that can be behind the cluster's Services.  zones: for topology hints; so below."""
    placements = [placed for placed in allocations.pods if placed.cluster == cluster.name]
    return Behind(cluster.pods, placements, cluster.endpoint_slices, zones)


def proxied(
    cluster: Cluster, allocations: Allocations, zones: Mapping[str, str] = NOWHERE
) -> tuple[ProxiedPort, ...]:
    """The ports of the cluster's Services with all that is behind them."""
    addresses = [given for given in allocations.services if given.cluster == cluster.name]
    there = behind(cluster, allocations, zones)
    return tuple(proxied_ports(era(cluster), cluster.services, addresses, there))


def proxy_listeners(cluster: Cluster, allocations: Allocations) -> Iterator[Listener]:
    """kube-proxy's own ports on every node, what load balancers ask, and what it only holds."""
    ports = proxied(cluster, allocations)
    for node in proxy_nodes(cluster, allocations):
        yield from own_listeners(cluster.proxy, node)
        yield from health_listeners(ports, node.name, era(cluster))
        yield from held_ports(ports, cluster.proxy, node)


def stale_entries(
    before: Lab, had: Allocations, after: Lab, have: Allocations
) -> dict[str, tuple[Command, ...]]:
    """The conntrack commands of each node that stays, when a lab becomes another one."""
    old = {cluster.name: cluster for cluster in before.clusters}
    found: dict[str, tuple[Command, ...]] = {}
    for cluster in after.clusters:
        if cluster.name in old:
            ports = proxied(old[cluster.name], had), proxied(cluster, have)
            commands = conntrack.stale_entries(*ports, era(cluster))
            opened = _udp_host_ports(cluster, have) - _udp_host_ports(old[cluster.name], had)
            staying = {*kubelets(old[cluster.name], had)}
            for node in kubelets(cluster, have):
                new = sorted(number for at, _, number in opened if at == node)
                own = (*commands, *map(conntrack.opened_host_port, new))
                if own and node in staying:
                    found[node] = own
    return found


def _udp_host_ports(cluster: Cluster, allocations: Allocations) -> set[tuple[str, str, int]]:
    """The nodes' UDP ports that lead to pods: node, the pod's container, port."""
    places = {at.pod: at.node for at in allocations.pods if at.cluster == cluster.name}
    return {
        (places[pod.netns], pod.sandbox, port.host_port)
        for pod in cluster.pods
        for port in pod.host_ports
        if pod.netns in places and port.transport == "udp" and port.host_port
    }


def proxy_nodes(
    cluster: Cluster, allocations: Allocations, zones: Mapping[str, str] = NOWHERE
) -> tuple[ProxyNode, ...]:
    """The cluster's nodes with the addresses their own kernels have."""
    ranges = {own.node: own.cidr for own in allocations.ranges if own.cluster == cluster.name}
    bridged = (
        with_gateway(cluster, allocations.pods, allocations.ranges)
        if isinstance(cluster, KopsCluster)
        else ()
    )
    ending = {node.name for node in cluster.nodes if node.terminating}
    found = []
    for name in kubelets(cluster, allocations):
        enis = sorted(allocations.attached[name], key=lambda eni: eni.device_index)
        own = [eni.primary for eni in enis]
        found.append(
            ProxyNode(
                name=name,
                ip=own[0],
                addresses=(*own, LOOPBACK, *([gateway(ranges[name])] if name in bridged else ())),
                pod_cidr=ranges.get(name),
                zone=zones.get(name, ""),
                terminating=name in ending,
            )
        )
    return tuple(found)
