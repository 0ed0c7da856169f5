"""What host-local has on the disks of a cluster's nodes."""

from collections.abc import Iterable
from ipaddress import IPv4Address

from testbed.kops import host_local
from testbed.kops.host_local import Store
from testbed.kops.model import KopsCluster
from testbed.kops.pod import sandbox
from testbed.kubernetes.placement import NodeRange, PodAddress

NETWORK = "kubenet"  # the name in kubenet's CNI configuration, and of host-local's directory


def store(own: NodeRange, running: Iterable[PodAddress]) -> Store:
    """What host-local remembers on a node where these pods run."""
    here = (at for at in running if at.node == own.node and not at.host_network)
    return Store(own.cidr, own.last_reserved_ip, frozenset(at.ip for at in here))


def files(
    cluster: KopsCluster, ranges: Iterable[NodeRange], pods: Iterable[PodAddress]
) -> dict[str, dict[str, str]]:
    """For each node the files in its directory of host-local's, by path.

    As below /var/lib/cni/networks, the plugin's dataDir: `kubenet/100.96.1.2`.
    """
    ids = {pod.netns: sandbox(pod) for pod in cluster.pods}
    running = [at for at in pods if at.cluster == cluster.name and not at.host_network]
    found = {}
    for own in ranges:
        if own.cluster != cluster.name:
            continue
        holders: dict[IPv4Address, str] = {
            at.ip: ids[at.pod] for at in running if at.node == own.node
        }
        spelt = host_local.files(store(own, running), holders)
        found[own.node] = {f"{NETWORK}/{name}": text for name, text in spelt.items()}
    return found
