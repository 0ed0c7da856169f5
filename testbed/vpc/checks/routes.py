"""What AWS would refuse in a VPC's route tables; paths start at the VPC."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network

from testbed.description import duplicates
from testbed.description.problem import Problem, Problems, names, quoted, unknown
from testbed.net.facts import ANYWHERE
from testbed.vpc.model import (
    BLACKHOLE,
    INTERNET_GATEWAY,
    VIRTUAL_PRIVATE_GATEWAY,
    RouteEntry,
    RouteTable,
    Vpc,
)

# AWS's own services live here; routes into it are refused (VPC User Guide, "Subnet route tables").
SERVICES_RANGE = IPv4Network("169.254.168.0/22")
# CreateRoute's codes for a target that is not there, by how its id begins
NOT_FOUND = {
    "eni-": "InvalidNetworkInterfaceID.NotFound",
    "i-": "InvalidInstanceID.NotFound",
    "nat-": "InvalidNatGatewayID.NotFound",
    "pcx-": "InvalidVpcPeeringConnectionID.NotFound",
    "tgw-": "InvalidTransitGatewayID.NotFound",
    "": "InvalidGatewayID.NotFound",
}
GATEWAYS = (INTERNET_GATEWAY, VIRTUAL_PRIVATE_GATEWAY)


@dataclass(frozen=True)
class Around:
    """What the networks around a VPC are to it.

    targets: its peerings and transit gateways.  elsewhere: those of other VPCs.
    unattached: transit gateways the VPC is not attached to.  devices: links on the VPC's router.
    """

    targets: frozenset[str] = frozenset()
    elsewhere: frozenset[str] = frozenset()
    unattached: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()


NOTHING_AROUND = Around()


def problems(vpc: Vpc, enis: Mapping[str, int], around: Around) -> Problems:
    """Everything wrong with a VPC's routes.  enis: how many ENIs each instance may have."""
    for twice in duplicates(table.name for table in vpc.route_tables):
        yield Problem(("routeTables", twice), f"there are two route tables {quoted(twice)}")
    for table in vpc.route_tables:
        yield from names(("routeTables", table.name), table.name)
        if vpc.free_routes(table) < 0:
            count = vpc.routes_per_route_table - vpc.free_routes(table)
            message = (
                f"the table has {count} routes, the local ones among them;"
                f" routesPerRouteTable is {vpc.routes_per_route_table}"
            )
            yield Problem(("routeTables", table.name), message, "RouteLimitExceeded")
        for problem in _table(vpc, table, enis, around):
            yield problem.under("routeTables", table.name)


def _table(vpc: Vpc, table: RouteTable, enis: Mapping[str, int], around: Around) -> Problems:
    for twice in duplicates(str(entry.destination) for entry in table.routes):
        message = f"the table has two routes to {twice}"
        yield Problem((twice,), message, "RouteAlreadyExists")
    yield from _prefix_lists(vpc, table, enis, around)
    for entry in table.routes:
        path = (str(entry.destination),)
        for problem in (
            *_destination(vpc, entry, around),
            *_target(vpc, table.name, entry, enis, around),
        ):
            yield problem.under(*path)


def _prefix_lists(
    vpc: Vpc, table: RouteTable, enis: Mapping[str, int], around: Around
) -> Problems:
    lists = [one.name for one in vpc.prefix_lists]
    for route in table.prefix_list_routes:
        path = (route.prefix_list,)
        if not lists:
            expected = "expected an IPv4 range such as 10.0.0.0/16, or a prefix list of the VPC"
            yield Problem(path, f"{expected}, found {quoted(route.prefix_list)}")
        elif route.prefix_list not in lists:
            message = unknown("prefix list", route.prefix_list, lists)
            yield Problem(path, message, "InvalidPrefixListID.NotFound")
        entry = RouteEntry(ANYWHERE, route.target)
        for problem in _target(vpc, table.name, entry, enis, around):
            yield problem.under(*path)


def _destination(vpc: Vpc, entry: RouteEntry, around: Around) -> Problems:
    """AWS keeps two things from routes: its own services, and, mostly, the VPC's local traffic."""
    to = entry.destination
    if to.subnet_of(SERVICES_RANGE):
        message = f"no route leads into {SERVICES_RANGE}, where AWS's own services are"
        yield Problem((), message, "InvalidParameterValue")
    elif to in vpc.cidrs:
        message = f"every table has the route {to} local already"
        yield Problem((), message, "RouteAlreadyExists")
    elif any(to.subnet_of(cidr) for cidr in vpc.cidrs):
        yield from _more_specific_than_local(vpc, entry, around)


def _more_specific_than_local(vpc: Vpc, entry: RouteEntry, around: Around) -> Problems:
    """Allowed to send one whole subnet's traffic through an appliance, and for nothing else."""
    if entry.target in {*GATEWAYS, *around.targets}:
        message = (  # AWS's own words; NAT gateways have come to those two since
            f"The destination CIDR block {entry.destination} is equal to or more specific than one"
            " of this VPC's CIDR blocks. This route can target only an interface or an instance."
        )
        yield Problem((), message, "InvalidParameterValue")
    elif entry.destination not in [subnet.cidr for subnet in vpc.subnets]:
        message = "a route more specific than local has exactly a subnet's range as destination"
        yield Problem((), message, "InvalidParameterValue")


def _target(
    vpc: Vpc, table: str, entry: RouteEntry, enis: Mapping[str, int], around: Around
) -> Problems:
    gateways = [gateway.name for gateway in vpc.nat_gateways]
    if entry.target == INTERNET_GATEWAY:
        if not vpc.internet_gateway:
            yield Problem((), "the VPC has no internet gateway", "InvalidParameterValue")
    elif entry.target == VIRTUAL_PRIVATE_GATEWAY:
        if not vpc.virtual_private_gateway:
            message = (
                "the VPC has no virtual private gateway; `virtualPrivateGateway: {}` adds one"
            )
            yield Problem((), message, "InvalidParameterValue")
    elif entry.target in {*around.elsewhere, *around.unattached}:
        yield _not_ours(table, entry, around)
    elif entry.target not in {BLACKHOLE, *gateways, *enis, *around.targets}:
        yield from _eni_target(entry, [*gateways, *sorted(around.targets)], enis)


def _not_ours(table: str, entry: RouteEntry, around: Around) -> Problem:
    """A peering of other VPCs, or a transit gateway that is not attached to this one."""
    if entry.target in around.unattached:
        message = f"transit gateway {quoted(entry.target)} has no attachment of this VPC"
        return Problem((), message, "InvalidTransitGatewayID.NotFound")
    message = (
        f"route table {quoted(table)} and network gateway {quoted(entry.target)} belong to"
        " different networks"
    )
    return Problem((), message, "InvalidParameterValue")


def _eni_target(entry: RouteEntry, gateways: list[str], enis: Mapping[str, int]) -> Problems:
    """A target that can only be an ENI, `node/1`."""
    instance, slash, index = entry.target.partition("/")
    if instance not in enis or not slash:
        known = [*GATEWAYS, BLACKHOLE, *gateways, *enis]
        codes = (code for prefix, code in NOT_FOUND.items() if entry.target.startswith(prefix))
        yield Problem((), unknown("route target", entry.target, known), next(codes))
    elif not re.fullmatch("[0-9]{1,2}", index) or int(index) >= enis[instance]:
        most = enis[instance] - 1
        message = f"{quoted(instance)} has the ENIs 0 to {most}, not {quoted(index)}"
        yield Problem((), message, NOT_FOUND["eni-"])
