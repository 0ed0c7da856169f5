"""A kops cluster's pods come to their nodes and addresses: scheduler, then host-local."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from testbed.kops.ipam import host_local
from testbed.kops.ipam.host_local import Store
from testbed.kops.ipam.ranges import node_ranges
from testbed.kops.ipam.stores import store
from testbed.kops.limits import room
from testbed.kops.model import KopsCluster
from testbed.kops.routes import with_pod_routes, without_route
from testbed.kubernetes.model import Pod
from testbed.kubernetes.placement import NodeRange, Pending, Placed, PodAddress
from testbed.kubernetes.scheduler.keep import still_bound, still_placed
from testbed.kubernetes.scheduler.schedule import (
    NETWORK_UNAVAILABLE,
    NOT_READY,
    Host,
    hosts,
    schedule,
)
from testbed.vpc.ec2 import Ec2
from testbed.vpc.model import Vpc

# kubelet's words for a pod on a node that has no pod CIDR (v1.14; v1.30 with containerd)
NETWORK_NOT_READY = {
    "kubenet": "network is not ready: runtime network not ready: NetworkReady=false"
    " reason:NetworkPluginNotReady message:docker: network plugin is not ready: kubenet does not"
    " have netConfig. This is most likely due to lack of PodCIDR",
    "ptp": "network is not ready: container runtime network not ready: NetworkReady=false"
    " reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not"
    " initialized",
}


def allocate_pods(cluster: KopsCluster, vpc: Vpc, ec2: Ec2, before: Placed) -> Placed:
    """The nodes' ranges, the cluster's pods that run and those that wait.

    The nodes' ENIs exist.  vpc: the cluster's, as described.  before: what the last run said, of
    other clusters too; a pod keeps its node and address as long as both are there.
    """
    ranges, ipam = node_ranges(cluster, before.ranges, before.ipam)
    cidrs = {one.node: one.cidr for one in ranges}
    nodes = _hosts(cluster, vpc, ranges)
    kept = {
        at.pod: at for at in _kept(cluster, ec2, cidrs, still_placed(cluster, nodes, before.pods))
    }
    bound = dict(still_bound(cluster, nodes, before.pending)) | {
        pod: at.node for pod, at in kept.items()
    }
    plan = schedule(nodes, cluster.pods, bound)
    stores = {one.node: store(one, kept.values()) for one in ranges}
    ended: dict[str, PodAddress | Pending] = {**kept}
    for pod in cluster.pods:
        if reason := plan.unschedulable.get(pod.netns):
            ended[pod.netns] = Pending(pod.netns, cluster.name, reason)
        elif pod.netns not in kept:
            node = plan.bound[pod.netns]
            refused = _refused_port(cluster, pod, node, ended)
            ended[pod.netns] = (
                Pending(pod.netns, cluster.name, refused, node)
                if refused
                else _start(cluster, pod, _own(ec2, node), stores, node)
            )
    ends = [ended[pod.netns] for pod in cluster.pods]
    return Placed(
        pods=tuple(end for end in ends if isinstance(end, PodAddress)),
        pending=tuple(end for end in ends if isinstance(end, Pending)),
        ranges=tuple(
            replace(one, last_reserved_ip=stores[one.node].last_reserved) for one in ranges
        ),
        ipam=(ipam,),
    )


def _hosts(cluster: KopsCluster, vpc: Vpc, ranges: tuple[NodeRange, ...]) -> tuple[Host, ...]:
    """The nodes, and what is amiss with some: no range for pods, or no route to it."""
    cut_off = without_route(cluster, with_pod_routes(cluster, vpc, ranges), ranges)
    with_range = {one.node for one in ranges}
    amiss = {node.name: [NOT_READY] for node in cluster.nodes if node.name not in with_range}
    amiss |= {one.node: [NETWORK_UNAVAILABLE] for one in cut_off}
    return hosts(cluster.nodes, vpc, {node.name: room(node) for node in cluster.nodes}, amiss)


def _start(
    cluster: KopsCluster, pod: Pod, node_ip: IPv4Address, stores: dict[str, Store], node: str
) -> PodAddress | Pending:
    """What becomes of a pod on its node; the node's store remembers what it gave."""
    if pod.host_network:
        return PodAddress(pod.netns, cluster.name, node, 0, node_ip, host_network=True)
    if node not in stores:
        return Pending(pod.netns, cluster.name, NETWORK_NOT_READY[cluster.cni], node)
    ip = host_local.next_address(stores[node])
    if ip is None:
        reason = _sandbox_failure(cluster, pod, stores[node].cidr)
        return Pending(pod.netns, cluster.name, reason, node)
    stores[node] = host_local.with_reserved(stores[node], ip)
    return PodAddress(pod.netns, cluster.name, node, 0, ip)


def _kept(
    cluster: KopsCluster,
    ec2: Ec2,
    cidrs: Mapping[str, IPv4Network],
    placed: Iterable[tuple[Pod, PodAddress]],
) -> Iterator[PodAddress]:
    """What of an earlier run still holds; a node's own address may have changed."""
    for pod, at in placed:
        if pod.host_network:
            yield replace(at, ip=_own(ec2, at.node))
        elif at.node in cidrs and host_local.usable(cidrs[at.node], at.ip):
            yield at


def _own(ec2: Ec2, node: str) -> IPv4Address:
    return ec2.attached(node)[0].primary


def _refused_port(
    cluster: KopsCluster, pod: Pod, node: str, ended: Mapping[str, PodAddress | Pending]
) -> str:
    """Why kubelet cannot hold a pod's hostPorts with sockets; empty where it can.

    It does not look at hostIP, as the scheduler does (kubernetes v1.14, hostport_manager.go).
    ended: what became of other pods.
    """
    if cluster.cni != "kubenet" or not pod.host_ports:
        return ""
    here = [one for one in cluster.pods if _runs(ended.get(one.netns), node)]
    held = {(port.transport, port.host_port) for one in here for port in one.host_ports}
    for port in pod.host_ports:
        if (port.transport, port.host_port) in held:
            name = f"{pod.name}_{pod.namespace}"
            return (
                f'NetworkPlugin kubenet failed to set up pod "{name}" network: cannot open'
                f" hostport {port.host_port} for pod {name}: listen {port.transport}"
                f" :{port.host_port}: bind: address already in use"
            )
        held.add((port.transport, port.host_port))
    return ""


def _runs(end: PodAddress | Pending | None, node: str) -> bool:
    return isinstance(end, PodAddress) and end.node == node


def _sandbox_failure(cluster: KopsCluster, pod: Pod, cidr: IPv4Network) -> str:
    """The words of the pod's event FailedCreatePodSandBox (kubenet of v1.14; containerd v1.7)."""
    if cluster.cni == "ptp":
        return (
            "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup"
            f' network for sandbox "{pod.sandbox}": plugin type="ptp" failed (add): failed to'
            f" allocate for range 0: {host_local.full(cidr)}"
        )
    return (
        f'NetworkPlugin kubenet failed to set up pod "{pod.name}_{pod.namespace}" network:'
        " Error adding container to network: failed to allocate for range 0:"
        f" {host_local.full(cidr)}"
    )
