"""Everything of a kops cluster in the kernel but kube-proxy: nodes, pods, strays."""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Interface

from testbed.kops.ipam.stores import NETWORKS
from testbed.kops.model import KopsCluster
from testbed.kops.routes import refused
from testbed.kops.wiring import ptp
from testbed.kops.wiring.host_ports import HostPort, held_ports, host_port_facts
from testbed.kops.wiring.names import veth_name
from testbed.kops.wiring.node import CBR0, MTU, NO_PORTS_MTU, bridge_facts, node_facts
from testbed.kops.wiring.pod import pod_facts
from testbed.kops.wiring.shaping import shaper
from testbed.kubernetes.cni.portmap import Attached, portmap_facts
from testbed.kubernetes.model import Pod
from testbed.kubernetes.placement import NodeRange, Placed, PodAddress
from testbed.kubernetes.strays import pod_range, stray_facts
from testbed.net.facts import Fact
from testbed.net.served.endpoints import Listener
from testbed.vpc.eni import Eni
from testbed.vpc.model import Vpc


def cluster_facts(
    cluster: KopsCluster, vpc: Vpc, enis: Iterable[Eni], placed: Placed
) -> Iterator[Fact]:
    """The nodes and the pods that run on them.

    vpc: with the routes that the cluster made.
    """
    primary = {eni.instance: eni for eni in enis if eni.device_index == 0}
    subnets = {subnet.name: subnet for subnet in vpc.subnets}
    for node in cluster.nodes:
        yield from node_facts(cluster, node, subnets[node.subnet], primary[node.name])
    pods = (*refused(cluster, vpc, placed.ranges), pod_range(cluster.pod_cidr))
    yield from stray_facts(cluster.name, vpc, cluster.service_cidr, pods)
    ranges = {own.node: own for own in placed.ranges if own.cluster == cluster.name}
    running = [at for at in placed.pods if at.cluster == cluster.name and not at.host_network]
    wiring = _routed if cluster.cni == "ptp" else _bridged
    yield from wiring(cluster, running, ranges)


def with_gateway(
    cluster: KopsCluster, running: Iterable[PodAddress], ranges: Iterable[NodeRange]
) -> frozenset[str]:
    """The nodes that have their range's first address.

    With kubenet those that ever had a pod, for cbr0 stays; with ptp those that have one.
    """
    found = {at.node for at in running if at.cluster == cluster.name and not at.host_network}
    if cluster.cni == "kubenet":
        first = {node.name: (None, node.last_reserved_ip) for node in cluster.nodes}
        mine = (own for own in ranges if own.node in first)
        found |= {own.node for own in mine if own.last_reserved_ip not in first[own.node]}
    return frozenset(found)


def host_port_listeners(cluster: KopsCluster, running: Iterable[PodAddress]) -> Iterator[Listener]:
    """The hostPorts that kubelets of a cluster hold; portmap holds none."""
    pods = {pod.netns: pod for pod in cluster.pods}
    for at in running:
        if cluster.cni == "kubenet" and at.cluster == cluster.name:
            yield from held_ports(at.node, _host_ports([at], pods))


def _host_ports(running: Iterable[PodAddress], pods: Mapping[str, Pod]) -> Iterator[HostPort]:
    for at in running:
        yield from (HostPort(pods[at.pod], at.ip, port) for port in pods[at.pod].host_ports)


def _routed(
    cluster: KopsCluster, running: list[PodAddress], ranges: dict[str, NodeRange]
) -> Iterator[Fact]:
    pods = {pod.netns: pod for pod in cluster.pods}
    for at in running:
        yield from ptp.pod_facts(pods[at.pod], at, ranges[at.node])
    yield from portmap_facts(NETWORKS["ptp"], [*_attached(running, pods, ranges)])


def _attached(
    running: Iterable[PodAddress], pods: Mapping[str, Pod], ranges: Mapping[str, NodeRange]
) -> Iterator[Attached]:
    """What ptp answered of each pod, which portmap is given."""
    for at in running:
        address = IPv4Interface((int(at.ip), ranges[at.node].cidr.prefixlen))
        yield Attached(pods[at.pod], at.node, veth_name(pods[at.pod]), address)


def _bridged(
    cluster: KopsCluster, running: list[PodAddress], ranges: dict[str, NodeRange]
) -> Iterator[Fact]:
    pods, mode = {pod.netns: pod for pod in cluster.pods}, cluster.hairpin_mode
    for name in sorted(with_gateway(cluster, running, ranges.values())):
        here = [at for at in running if at.node == name]
        mtu = MTU if here else NO_PORTS_MTU
        yield from bridge_facts(ranges[name], mtu, promisc=mode == "promiscuous-bridge")
        yield shaper(name, CBR0, ((pods[at.pod], at) for at in here))
        yield from host_port_facts(name, CBR0, _host_ports(here, pods))
    for at in running:
        yield from pod_facts(pods[at.pod], at, ranges[at.node], mode)
