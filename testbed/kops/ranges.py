"""A range of addresses for each node's pods, as kube-controller-manager hands them out."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

from testbed.errors import DescriptionError
from testbed.kops.model import KopsCluster, KopsNode
from testbed.kubernetes.placement import NodeRange

MASK_SIZE = 24  # kube-controller-manager --node-cidr-mask-size, as kops sets it


def blocks(cluster: KopsCluster, taken: Iterable[IPv4Network] = ()) -> Iterator[IPv4Network]:
    """The free ranges of a node's size, lowest first.

    taken: what nodes have.  Whatever lies in the range of Services is never given to a node.
    Source: kubernetes v1.14, pkg/controller/nodeipam/ipam/range_allocator.go.
    """
    never = (cluster.service_cidr, *taken)
    for block in cluster.pod_cidr.subnets(new_prefix=MASK_SIZE):
        if not any(block.overlaps(other) for other in never):
            yield block


def node_ranges(cluster: KopsCluster, before: Iterable[NodeRange] = ()) -> tuple[NodeRange, ...]:
    """Every node's range, in the topology's order; what `before` gave and still fits is kept.

    The controller is taken to be started anew each time: it marks what nodes have, and begins at
    the lowest block again.  Raises DescriptionError when the pods' range is too small.
    """
    chosen = {node.name: node.pod_cidr for node in cluster.nodes if node.pod_cidr}
    kept = {one.node: one for one in before if _fits(cluster, one, chosen)}
    free = blocks(cluster, [*chosen.values(), *(one.cidr for one in kept.values())])
    return tuple(
        kept.get(node.name) or _new(cluster, node, chosen, free) for node in cluster.nodes
    )


def _new(
    cluster: KopsCluster,
    node: KopsNode,
    chosen: dict[str, IPv4Network],
    free: Iterator[IPv4Network],
) -> NodeRange:
    cidr = chosen.get(node.name) or next(free, None)
    if cidr is None:
        message = f"CIDRNotAvailable: {cluster.pod_cidr} has no /{MASK_SIZE} left for {node.name}"
        raise DescriptionError(message)
    return NodeRange(node.name, cluster.name, cidr, node.last_reserved_ip)


def _fits(cluster: KopsCluster, had: NodeRange, chosen: dict[str, IPv4Network]) -> bool:
    """Whether a node may keep its range: in the cluster, and not in what another one asks for."""
    if had.cluster != cluster.name or had.node not in {node.name for node in cluster.nodes}:
        return False
    if had.node in chosen:
        return had.cidr == chosen[had.node]
    others = (cluster.service_cidr, *chosen.values())
    inside = had.cidr.subnet_of(cluster.pod_cidr)
    return inside and not any(had.cidr.overlaps(other) for other in others)
