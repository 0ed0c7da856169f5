"""What AWS would refuse of transit gateways; paths start at the lab."""

from collections.abc import Collection, Mapping

from testbed.description import duplicates
from testbed.description.problem import Problem, Problems, names, quoted, unknown
from testbed.networks import private_gateway
from testbed.networks.model import Attachment, Site, TransitGateway
from testbed.networks.transit_gateway import inner_device, route_tables
from testbed.vpc.model import BLACKHOLE, Vpc

MOST_TABLES = 20  # Transit Gateway Guide, "Quotas"
MOST_OF_A_VPC = 5  # attachments to transit gateways: the same


def problems(
    gateways: tuple[TransitGateway, ...], vpcs: Mapping[str, Vpc], sites: tuple[Site, ...]
) -> Problems:
    """Everything wrong with the transit gateways."""
    for gateway in gateways:
        if gateway.name in vpcs:
            message = f"a VPC is named {quoted(gateway.name)} too: connections could mean both"
            yield Problem(("transitGateways", gateway.name), message)
        for problem in _gateway(gateway, vpcs, sites):
            yield problem.under("transitGateways", gateway.name)
    of_vpcs = [one.vpc for gateway in gateways for one in gateway.attachments]
    for vpc in vpcs:
        if of_vpcs.count(vpc) > MOST_OF_A_VPC:
            message = f"VPC {quoted(vpc)} is attached to more than {MOST_OF_A_VPC} of them"
            yield Problem(("transitGateways",), message)


def _gateway(
    gateway: TransitGateway, vpcs: Mapping[str, Vpc], sites: tuple[Site, ...]
) -> Problems:
    yield from names((), gateway.name)
    for one in gateway.attachments:
        for problem in _attachment(one, vpcs):
            yield problem.under("attachments", one.name)
    for twice in duplicates(one.vpc for one in gateway.attachments):
        message = f"VPC {quoted(twice)} is attached twice"
        yield Problem(("attachments",), message, "DuplicateTransitGatewayAttachment")
    connections = _connections(gateway, sites)
    for twice in duplicates([*map(inner_device, gateway.attachments), *connections]):
        yield Problem((), f"two links of the gateway are both {quoted(twice)}")
    if len(route_tables(gateway)) > MOST_TABLES:
        message = f"a transit gateway has at most {MOST_TABLES} route tables"
        yield Problem(("routeTables",), message)
    yield from _routes(gateway, [*(one.name for one in gateway.attachments), *connections])


def _connections(gateway: TransitGateway, sites: tuple[Site, ...]) -> list[str]:
    """The names of the gateway's connections, of those that are down too."""
    return [
        private_gateway.device(site, one)
        for site in sites
        for one in site.connections
        if one.gateway == gateway.name
    ]


def _routes(gateway: TransitGateway, known: Collection[str]) -> Problems:
    for table in gateway.route_tables:
        yield from names(("routeTables", table.name), table.name)
        for twice in duplicates(str(route.destination) for route in table.routes):
            message = f"the table has two routes to {twice}"
            yield Problem(("routeTables", table.name, twice), message, "RouteAlreadyExists")
        for route in table.routes:
            if route.target not in (BLACKHOLE, *known):
                path = ("routeTables", table.name, str(route.destination))
                message = unknown("attachment", route.target, [BLACKHOLE, *known])
                yield Problem(path, message, "InvalidTransitGatewayAttachmentID.NotFound")


def _attachment(one: Attachment, vpcs: Mapping[str, Vpc]) -> Problems:
    yield from names((), one.name)
    if one.vpc not in vpcs:
        yield Problem(("vpc",), unknown("VPC", one.vpc, vpcs), "InvalidVpcID.NotFound")
        return
    within = {subnet.name: subnet for subnet in vpcs[one.vpc].subnets}
    if not one.subnets:
        yield Problem(("subnets",), "an attachment has at least one subnet")
    for i, name in enumerate(one.subnets):
        if name not in within:
            message = unknown("subnet", name, within)
            yield Problem(("subnets", i), message, "InvalidSubnetID.NotFound")
            return
    chosen = [within[name] for name in one.subnets]
    for twice in duplicates(subnet.availability_zone for subnet in chosen):
        message = f"one subnet of each zone, not two of {twice}"
        yield Problem(("subnets",), message, "DuplicateSubnetsInSameZone")
    if len({subnet.route_table for subnet in chosen}) > 1:
        message = (
            "in the testbed these subnets have one route table, for what comes in meets it"
            " whatever the zone"
        )
        yield Problem(("subnets",), message)
