"""The VPC routes to the nodes' pods, as the route controller of a kops cluster makes them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from testbed.kops.model import KopsCluster
from testbed.kubernetes.placement import NodeRange
from testbed.kubernetes.strays import stray
from testbed.net.facts import ChainRule
from testbed.vpc.model import RouteEntry, RouteTable, Vpc
from testbed.vpc.naming import ROUTE_LIMIT, route_tables

ORIGIN = "kops' route controller"


def cluster_tables(cluster: KopsCluster, vpc: Vpc) -> frozenset[str]:
    """The route tables of the nodes' subnets; the controller wants exactly one."""
    mine = {node.subnet for node in cluster.nodes}
    return frozenset(subnet.route_table for subnet in vpc.subnets if subnet.name in mine)


def with_pod_routes(cluster: KopsCluster, vpc: Vpc, ranges: Iterable[NodeRange]) -> Vpc:
    """The VPC with a route from each node's range of pods to the node.

    Other routes into the pods' range are deleted: the controller takes them for its own.  A full
    table takes no more; the lowest ranges, which the oldest nodes have, come first.
    Source: kubernetes v1.14, pkg/controller/route/route_controller.go.
    """
    mine = sorted((one for one in ranges if one.cluster == cluster.name), key=lambda one: one.cidr)
    wanted = tuple(RouteEntry(one.cidr, one.node, ORIGIN) for one in mine)
    tables = cluster_tables(cluster, vpc)
    return replace(
        vpc,
        route_tables=tuple(
            _reconciled(cluster, vpc, table, wanted) if table.name in tables else table
            for table in route_tables(vpc)
        ),
    )


def room(cluster: KopsCluster, vpc: Vpc) -> int:
    """How many nodes' routes the cluster's route table takes."""
    tables = cluster_tables(cluster, vpc)
    mine = (_others(cluster, table) for table in route_tables(vpc) if table.name in tables)
    return min((vpc.free_routes(table) for table in mine), default=vpc.routes_per_route_table)


def without_route(
    cluster: KopsCluster, vpc: Vpc, ranges: Iterable[NodeRange]
) -> tuple[NodeRange, ...]:
    """The nodes whose routes the table did not take.  vpc: with the routes that were made."""
    made = {entry.destination for table in vpc.route_tables for entry in table.routes}
    mine = (one for one in ranges if one.cluster == cluster.name and one.cidr not in made)
    return tuple(sorted(mine, key=lambda one: one.cidr))


def refused(cluster: KopsCluster, vpc: Vpc, ranges: Iterable[NodeRange]) -> Iterator[ChainRule]:
    """What tells, where packets for pods end that no route leads to, why there is none.

    Nothing where every node has its route.
    vpc: with the routes that were made.
    """
    for one in without_route(cluster, vpc, ranges):
        why = (
            f"{one.node}'s pods have no route: RouteLimitExceeded, the quota of"
            f" {vpc.routes_per_route_table} is used up (NetworkUnavailable: NoRouteCreated)"
        )
        yield stray(one.cidr, ROUTE_LIMIT, why)


def _others(cluster: KopsCluster, table: RouteTable) -> RouteTable:
    """A table without the cluster's own routes."""
    kept = (one for one in table.routes if not one.destination.subnet_of(cluster.pod_cidr))
    return replace(table, routes=tuple(kept))


def _reconciled(
    cluster: KopsCluster, vpc: Vpc, table: RouteTable, wanted: tuple[RouteEntry, ...]
) -> RouteTable:
    kept = _others(cluster, table)
    return replace(kept, routes=(*kept.routes, *wanted[: max(vpc.free_routes(kept), 0)]))
