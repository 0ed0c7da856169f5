"""What kops and kubenet would refuse of a cluster and its nodes; paths start at the cluster."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations, islice

from testbed.description.problem import Problem, Problems, names, quoted
from testbed.kops import routes
from testbed.kops.ipam.ranges import blocks
from testbed.kops.model import SMALLEST, KopsCluster, KopsNode
from testbed.kops.routes import cluster_tables
from testbed.kubernetes.cni import bandwidth
from testbed.vpc.checks import instances as instance_checks
from testbed.vpc.model import Vpc


def problems(cluster: KopsCluster, vpc: Vpc) -> Problems:
    """Everything wrong with a cluster in its VPC."""
    yield from names((), cluster.name)
    ranges = [*_ranges(cluster, vpc)]
    yield from ranges
    yield from instance_checks.problems("nodes", cluster.nodes, vpc, cluster.security_group)
    if not ranges:
        yield from _node_ranges(cluster)
    yield from _route_table(cluster, vpc)
    yield from _cni(cluster)
    for pod in cluster.pods:
        if pod.eni is not None:
            message = "a pod of a kops cluster has its node's pod range, no address of an ENI"
            yield Problem(("pods", pod.netns, "eni"), message)


def warnings(cluster: KopsCluster, vpc: Vpc) -> Problems:
    """More nodes than routes: the route controller is refused; limits that nobody enforces."""
    if cluster.cni == "ptp":
        yield from bandwidth.without_effect(cluster.pods)
    yield from _without_range(cluster)
    room, count = routes.room(cluster, vpc), len(cluster.nodes)
    if room < count:
        message = (
            f"{count} nodes need a route each, and their route table takes {room} more"
            f" (routesPerRouteTable: {vpc.routes_per_route_table}): RouteLimitExceeded for"
            f" {count - room}, whose pods nobody reaches from other nodes"
        )
        yield Problem(("nodes",), message)


def enis(cluster: KopsCluster) -> dict[str, int]:
    """How many ENIs each node may have: kubenet uses the first and knows no other."""
    return {node.name: 1 for node in cluster.nodes}


def conflicts(clusters: Iterable[KopsCluster]) -> Problems:
    """What clusters of one VPC do to each other; paths start at the lab.

    Each route controller takes every route into its pods' range for its own.
    """
    for one, other in combinations(clusters, 2):
        if one.vpc == other.vpc and one.pod_cidr.overlaps(other.pod_cidr):
            message = f"{other.pod_cidr} overlaps the pods' range of cluster {quoted(one.name)}"
            yield Problem(("clusters", other.name, "podCidr"), message)


def _cni(cluster: KopsCluster) -> Problems:
    """What kubenet has and containerd's configuration has not, and the other way round."""
    if cluster.cni == "kubenet":
        if cluster.proxy.mode == "nftables":
            message = "nftables came with 1.29, kubenet ended with 1.24; `cni: ptp` is of today"
            yield Problem(("kubeProxy", "mode"), message)
        return
    if cluster.hairpin_mode != "hairpin-veth":
        yield Problem(("hairpinMode",), "a setting of kubenet; ptp routes, and has no bridge")


def _ranges(cluster: KopsCluster, vpc: Vpc) -> Problems:
    """kops 1.14, pkg/apis/kops/validation: validateCluster."""
    whole = cluster.non_masquerade_cidr
    for cidr in vpc.cidrs:
        if whole.overlaps(cidr):
            message = (
                f"{whole} cannot overlap {cidr} of VPC {quoted(vpc.name)}: its nodes are there"
            )
            yield Problem(("nonMasqueradeCidr",), message)
    for key, cidr in (("podCidr", cluster.pod_cidr), ("serviceCidr", cluster.service_cidr)):
        if not cidr.subnet_of(whole):
            message = (
                f"{cidr} is not inside the nonMasqueradeCidr {whole}: kubenet would translate it"
            )
            yield Problem((key,), message)


def _node_ranges(cluster: KopsCluster) -> Problems:
    """The ranges nodes ask for, and that there is one at all for those that do not.

    Source: kubernetes v1.14, pkg/controller/nodeipam/node_ipam_controller.go.
    """
    mask = cluster.node_cidr_mask_size
    if cluster.pod_cidr.prefixlen > mask:
        message = f"{cluster.pod_cidr} is too small: each node gets a /{mask} of it"
        yield Problem(("podCidr",), message)
        return
    taken: dict[IPv4Network, str] = {}
    for node in cluster.nodes:
        for problem in _asked(cluster, node, taken):
            yield problem.under("nodes", node.name)


def _without_range(cluster: KopsCluster) -> Problems:
    """Nodes that come too late: the controller tells the event, and goes on without them."""
    taken = [node.pod_cidr for node in cluster.nodes if node.pod_cidr]
    rest = [node for node in cluster.nodes if node.pod_cidr is None]
    room = len([*islice(blocks(cluster, taken), len(rest))])
    if room < len(rest):
        message = (
            f"{cluster.pod_cidr} has {room} free /{cluster.node_cidr_mask_size}, and {len(rest)}"
            f" nodes need one: CIDRNotAvailable for {len(rest) - room}, which stay NotReady"
        )
        yield Problem(("podCidr",), message)


def _asked(cluster: KopsCluster, node: KopsNode, taken: dict[IPv4Network, str]) -> Problems:
    """A range a node asks for; `taken` collects them."""
    if node.pod_cidr is None:
        if node.last_reserved_ip:
            message = "the address to go on from is known only where podCidr is given"
            yield Problem(("lastReservedIp",), message)
        return
    cidr = node.pod_cidr
    other = next((name for range_, name in taken.items() if range_.overlaps(cidr)), None)
    if not cidr.subnet_of(cluster.pod_cidr):
        yield Problem(("podCidr",), f"{cidr} is not inside the cluster's {cluster.pod_cidr}")
    elif cidr.prefixlen > SMALLEST:
        message = f"{cidr} has no address for a pod beside cbr0's; a /{SMALLEST} has one"
        yield Problem(("podCidr",), message)
    elif other:
        yield Problem(("podCidr",), f"{cidr} overlaps the range of {quoted(other)}")
    taken.setdefault(cidr, node.name)
    yield from _last_reserved(cidr, node.last_reserved_ip)


def _last_reserved(cidr: IPv4Network, given: IPv4Address | None) -> Problems:
    """host-local would take one outside the range for none, and say nothing."""
    if given and given not in cidr:
        yield Problem(("lastReservedIp",), f"{given} is not inside the node's podCidr {cidr}")


def _route_table(cluster: KopsCluster, vpc: Vpc) -> Problems:
    """kubenet needs kops' public topology: the route controller serves one route table."""
    tables = sorted(cluster_tables(cluster, vpc))
    if len(tables) > 1:
        message = (
            "found multiple matching AWS route tables: the nodes' subnets have "
            f"{' and '.join(tables)}; kubenet needs one table for all of them"
        )
        yield Problem(("nodes",), message)
