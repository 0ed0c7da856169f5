"""What host-local has on the disks of a cluster's nodes."""

from collections.abc import Iterable
from ipaddress import IPv4Address

from testbed.kops.ipam import host_local
from testbed.kops.ipam.host_local import Store
from testbed.kops.model import KopsCluster
from testbed.kubernetes.placement import NodeRange, PodAddress

# The name in the CNI configuration, and of host-local's directory: kubenet's, kops' template's
NETWORKS = {"kubenet": "kubenet", "ptp": "k8s-pod-network"}


def store(own: NodeRange, running: Iterable[PodAddress]) -> Store:
    """What host-local remembers on a node where these pods run."""
    here = (at for at in running if at.node == own.node and not at.host_network)
    return Store(own.cidr, own.last_reserved_ip, frozenset(at.ip for at in here))


def files(
    cluster: KopsCluster, ranges: Iterable[NodeRange], pods: Iterable[PodAddress]
) -> dict[str, dict[str, str]]:
    """For each node the files of its network in host-local's directory, by name."""
    # v1.1.1 adds the interface, with this line's end
    more = "\r\neth0" if cluster.cni == "ptp" else ""
    ids = {pod.netns: pod.sandbox + more for pod in cluster.pods}
    running = [at for at in pods if at.cluster == cluster.name and not at.host_network]
    found = {}
    for own in ranges:
        if own.cluster != cluster.name:
            continue
        holders: dict[IPv4Address, str] = {
            at.ip: ids[at.pod] for at in running if at.node == own.node
        }
        found[own.node] = host_local.files(store(own, running), holders)
    return found
