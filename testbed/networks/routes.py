"""What the networks around a VPC give its route tables: targets, and propagated routes."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import IPv4Network

from testbed.networks import peering, private_gateway
from testbed.networks import transit_gateway as transit
from testbed.networks.model import Peering, Site, TransitGateway
from testbed.networks.site import End
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.routing import Hop
from testbed.vpc.fabric.surroundings import Attached, Surroundings
from testbed.vpc.model import (
    PROPAGATION,
    VIRTUAL_PRIVATE_GATEWAY,
    RouteEntry,
    Vpc,
)
from testbed.vpc.naming import private_gateway as private_gateway_name
from testbed.vpc.naming import route_tables, transit_gateway


def surroundings(
    vpc: Vpc,
    peerings: Iterable[Peering],
    gateways: Iterable[TransitGateway],
    vpcs: Mapping[str, Vpc],
    enis: Iterable[Eni],
) -> Surroundings:
    """All that the fabric of a VPC has to know of what is around it.  enis: of all VPCs."""
    peerings, gateways = tuple(peerings), tuple(gateways)
    peered = peering.neighbours(vpc, peerings, vpcs, active=True)
    near = {one.name for one in (*peered, *transit.referenced(vpc, gateways, vpcs))}
    return Surroundings(
        hops=hops(vpc, peerings, gateways),
        peers=tuple(eni for eni in enis if eni.vpc in near),
        attached=tuple(
            Attached(transit.device(name), one.subnets)
            for name, one in transit.attachments(vpc.name, gateways)
        ),
    )


def hops(
    vpc: Vpc, peerings: Iterable[Peering], gateways: Iterable[TransitGateway]
) -> dict[str, Hop]:
    """Where the route targets are that the VPC has besides its own gateways and ENIs."""
    found = {**dict(peering.hops(vpc.name, peerings)), **dict(transit.hops(vpc.name, gateways))}
    if vpc.virtual_private_gateway:
        found[VIRTUAL_PRIVATE_GATEWAY] = private_gateway.HOP
    return found


def with_propagated_routes(vpc: Vpc, sites: Iterable[Site]) -> Vpc:
    """The VPC with what its virtual private gateway adds to its route tables.

    What overlaps a range of the VPC is left out: the local route is preferred even to a more
    specific propagated one (Site-to-Site VPN User Guide, "route priority").
    """
    gateway = vpc.virtual_private_gateway
    if gateway is None or not gateway.propagate_to:
        return vpc
    learned = dict.fromkeys(one.destination for one in private_gateway.learned(vpc.name, sites))
    routes = tuple(
        RouteEntry(to, VIRTUAL_PRIVATE_GATEWAY, PROPAGATION)
        for to in learned
        if not any(to.overlaps(cidr) and not _is_wider(to, cidr) for cidr in vpc.cidrs)
    )
    tables = tuple(
        replace(table, routes=table.routes + routes)
        if table.name in gateway.propagate_to
        else table
        for table in route_tables(vpc)
    )
    return replace(vpc, route_tables=tables)


def _is_wider(one: IPv4Network, other: IPv4Network) -> bool:
    return other.subnet_of(one) and one != other


def ends(vpcs: Mapping[str, Vpc], gateways: Iterable[TransitGateway]) -> dict[str, End]:
    """Where sites' connections end, by the names they have there."""
    private = {
        name: End(private_gateway_name(name), vpc.cidrs)
        for name, vpc in vpcs.items()
        if vpc.virtual_private_gateway
    }
    transits = {
        one.name: End(transit_gateway(one.name), transit.reachable(one, vpcs)) for one in gateways
    }
    return private | transits
