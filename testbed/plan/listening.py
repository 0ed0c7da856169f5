"""Who answers in a lab, on which port: its listeners, and the rows of its matrix."""

from collections.abc import Iterable, Iterator

from testbed.allocations import Allocations
from testbed.eks import control_plane
from testbed.eks.model import EksCluster
from testbed.kops.model import KopsCluster
from testbed.kops.wiring.cluster import host_port_listeners
from testbed.kubernetes import endpoints as kubernetes_endpoints
from testbed.lab import Lab, api_servers
from testbed.net.served.endpoints import Endpoint, Listener
from testbed.networks.endpoints import host_endpoints, host_listeners
from testbed.plan.ipamds import ipamd_listeners
from testbed.plan.metadata import metadata_listeners
from testbed.plan.proxies import kubelets, proxy_listeners
from testbed.plan.servers import programs
from testbed.vpc.endpoints import instance_endpoints, internet_listeners
from testbed.vpc.endpoints import listeners as instance_listeners


def listeners(lab: Lab, allocations: Allocations) -> tuple[Listener, ...]:
    """Every port the lab serves: its pods', nodes', instances' and the internet's."""
    pods = [pod for cluster in lab.clusters for pod in cluster.pods]
    bare = [instance for vpc in lab.vpcs for instance in vpc.running]
    theirs = kubernetes_endpoints.listeners(pods, allocations.pods)
    return (
        *theirs,
        *_of_nodes(lab, allocations, theirs),
        *(one for each in bare for one in instance_listeners(each.name, each.ports)),
        *host_listeners(lab.on_premises),
        *metadata_listeners(lab, allocations),
        *ipamd_listeners(lab, allocations),
        *_control_plane_listeners(lab, allocations),
        *internet_listeners(lab.internet),
    )


def leaving(found: Iterable[Listener], wanted: Iterable[Listener]) -> frozenset[str]:
    """The namespaces in which nothing may listen while the kernel changes: a socket keeps one.

    Those that lose a pod's port, for the pod may have moved, and those that lose all.  What
    kube-proxy does without on a node ends no connection of others there.
    """
    staying = frozenset(wanted)
    served = {one.netns for one in staying}
    gone = (one for one in found if one not in staying)
    return frozenset(one.netns for one in gone if one.pod or one.netns not in served)


def _of_nodes(lab: Lab, allocations: Allocations, pods: Iterable[Listener]) -> Iterator[Listener]:
    """kube-proxy's and kubelet's; a port that a pod on the node's network has they do without."""
    taken = {(one.netns, one.transport, one.port) for one in pods}
    for cluster in lab.clusters:
        own = [*proxy_listeners(cluster, allocations)]
        if isinstance(cluster, KopsCluster):
            own += host_port_listeners(cluster, allocations.pods)
        for one in own:
            if (one.netns, one.transport, one.port) not in taken:
                yield one


def _control_plane_listeners(lab: Lab, allocations: Allocations) -> Iterator[Listener]:
    for cluster in lab.clusters:
        if isinstance(cluster, EksCluster):
            servers = [server for of, _, server in api_servers(lab) if of == cluster]
            yield from control_plane.listeners(cluster, servers, kubelets(cluster, allocations))


def served(lab: Lab, allocations: Allocations) -> tuple[Listener, ...]:
    """Every port that answers in the lab, its programs' too."""
    theirs = (
        Listener(netns=program.netns, port=port, protocol=transport, pod="", node="")
        for program in programs(lab, allocations)
        for transport, port in program.listens
    )
    return (*listeners(lab, allocations), *theirs)


def endpoints(lab: Lab, allocations: Allocations) -> tuple[Endpoint, ...]:
    """Every running pod and every bare instance as a row and a column of the matrix."""
    pods = [pod for cluster in lab.clusters for pod in cluster.pods]
    nodes = {eni.instance: eni.primary for eni in allocations.enis if eni.device_index == 0}
    bare = [instance for vpc in lab.vpcs for instance in vpc.running]
    return (
        *kubernetes_endpoints.endpoints(pods, allocations.pods, nodes),
        *instance_endpoints(bare, allocations.enis),
        *host_endpoints(lab.on_premises),
    )
