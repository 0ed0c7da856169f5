"""Routes whose destination is a prefix list: one for each of its entries."""

from collections.abc import Iterator
from dataclasses import replace

from testbed.vpc.model import RouteEntry, RouteTable, Vpc


def with_prefix_list_routes(vpc: Vpc) -> Vpc:
    """The VPC with the entries of prefix lists as routes of its tables.

    Of two lists with one entry the first by name counts.  What is inside a range of the VPC is
    left out: it is local.  (AWS takes either list, and says nothing of the second.)
    """
    if not any(table.prefix_list_routes for table in vpc.route_tables):
        return vpc
    tables = tuple(
        replace(table, routes=(*table.routes, *_entries(vpc, table))) for table in vpc.route_tables
    )
    return replace(vpc, route_tables=tables)


def _entries(vpc: Vpc, table: RouteTable) -> Iterator[RouteEntry]:
    lists = {one.name: one for one in vpc.prefix_lists}
    seen = set()
    for route in sorted(table.prefix_list_routes, key=lambda route: route.prefix_list):
        for to in lists[route.prefix_list].entries:
            if to not in seen and not any(to.subnet_of(cidr) for cidr in vpc.cidrs):
                seen.add(to)
                yield RouteEntry(to, route.target, prefix_list=route.prefix_list)
