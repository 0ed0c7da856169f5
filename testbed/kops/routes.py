"""The VPC routes to the nodes' pods, as the route controller of a kops cluster makes them."""

from collections.abc import Iterable
from dataclasses import replace

from testbed.kops.model import KopsCluster
from testbed.kubernetes.placement import NodeRange
from testbed.vpc.model import RouteEntry, RouteTable, Vpc
from testbed.vpc.naming import route_tables

ORIGIN = "kops' route controller"


def cluster_tables(cluster: KopsCluster, vpc: Vpc) -> frozenset[str]:
    """The route tables of the nodes' subnets; the controller wants exactly one."""
    mine = {node.subnet for node in cluster.nodes}
    return frozenset(subnet.route_table for subnet in vpc.subnets if subnet.name in mine)


def with_pod_routes(cluster: KopsCluster, vpc: Vpc, ranges: Iterable[NodeRange]) -> Vpc:
    """The VPC with a route from each node's range of pods to the node.

    Other routes into the pods' range are deleted: the controller takes them for its own.
    Source: kubernetes v1.14, pkg/controller/route/route_controller.go.
    """
    wanted = tuple(
        RouteEntry(one.cidr, one.node, ORIGIN) for one in ranges if one.cluster == cluster.name
    )
    tables = cluster_tables(cluster, vpc)
    return replace(
        vpc,
        route_tables=tuple(
            _reconciled(cluster, table, wanted) if table.name in tables else table
            for table in route_tables(vpc)
        ),
    )


def _reconciled(
    cluster: KopsCluster, table: RouteTable, wanted: tuple[RouteEntry, ...]
) -> RouteTable:
    kept = (one for one in table.routes if not one.destination.subnet_of(cluster.pod_cidr))
    return replace(table, routes=(*kept, *wanted))
