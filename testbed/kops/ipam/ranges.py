"""A range of addresses for each node's pods, as kube-controller-manager hands them out.

Source: kubernetes v1.14, pkg/controller/nodeipam/ipam/range_allocator.go, cidrset/cidr_set.go.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

from testbed.kops.model import KopsCluster, KopsNode
from testbed.kubernetes.placement import NodeIpam, NodeRange


def blocks(
    cluster: KopsCluster, taken: Iterable[IPv4Network] = (), last: IPv4Network | None = None
) -> Iterator[IPv4Network]:
    """The free ranges of a node's size in the order in which nodes get them.

    taken: what nodes have.  Whatever lies in the range of Services is never given to a node.
    last: what was given last; the ones behind it come first, round and round.
    """
    never = (cluster.service_cidr, *taken)
    for block in _from(cluster, last):
        if not any(block.overlaps(other) for other in never):
            yield block


def _from(cluster: KopsCluster, last: IPv4Network | None) -> Iterator[IPv4Network]:
    """Every block, free or not; without a last one, or with another cluster's, from the first."""
    whole, mask = cluster.pod_cidr, cluster.node_cidr_mask_size
    first, size = int(whole.network_address), 1 << (32 - mask)
    count = whole.num_addresses // size
    known = last is not None and last.subnet_of(whole)
    start = (int(last.network_address) - first) // size + 1 if last and known else 0
    for number in range(start, start + count):
        yield IPv4Network((first + number % count * size, mask))


def node_ranges(
    cluster: KopsCluster, before: Iterable[NodeRange] = (), ipam: Iterable[NodeIpam] = ()
) -> tuple[tuple[NodeRange, ...], NodeIpam]:
    """The nodes' ranges in the topology's order, and where the controller goes on.

    What `before` gave and still fits is kept; a range that was given back comes again as late as
    possible.  A node that comes when none is left stays without: CIDRNotAvailable.
    """
    last = next((one.last for one in ipam if one.cluster == cluster.name), None)
    chosen = {node.name: node.pod_cidr for node in cluster.nodes if node.pod_cidr}
    kept = {one.node: one for one in before if _fits(cluster, one, chosen)}
    free = blocks(cluster, [*chosen.values(), *(one.cidr for one in kept.values())], last)
    found: list[NodeRange] = []
    for node in cluster.nodes:
        if node.name in kept:
            found.append(kept[node.name])
        elif node.name in chosen:
            found.append(_range(cluster, node, chosen[node.name]))
        elif block := next(free, None):
            found.append(_range(cluster, node, block))
            last = block
    return tuple(found), NodeIpam(cluster.name, last)


def _range(cluster: KopsCluster, node: KopsNode, cidr: IPv4Network) -> NodeRange:
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
