"""What a topology says of the networks around its VPCs, in AWS's words."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from testbed.description import STRICT, Cidr, Ip, Whole, named

# DescribeVpcPeeringConnections, Status
PeeringStatus = Literal["pending-acceptance", "active", "rejected", "expired", "failed", "deleted"]


@dataclass(frozen=True, config=STRICT)
class PeeringOptions:
    """What one side of a peering grants the other (ModifyVpcPeeringConnectionOptions).

    allow_dns_resolution_from_remote_vpc: whether the public names of this side's instances stand
    for their private addresses when the other side asks.
    """

    allow_dns_resolution_from_remote_vpc: bool = False


@dataclass(frozen=True, config=STRICT)
class Peering:
    """A VPC peering connection; its name is a route target in both VPCs.

    Only an active one carries traffic; routes to any other are blackholes.
    """

    name: str
    requester: str
    accepter: str
    status: PeeringStatus = "active"
    requester_peering_connection_options: PeeringOptions = PeeringOptions()
    accepter_peering_connection_options: PeeringOptions = PeeringOptions()

    @property
    def vpcs(self) -> tuple[str, str]:
        """Both VPCs, by name."""
        return self.requester, self.accepter

    @property
    def resolved(self) -> dict[str, str]:
        """The VPCs whose names stand for private addresses, each with the VPC that asks."""
        if self.status != "active":
            return {}
        sides = (
            (self.requester_peering_connection_options, self.requester, self.accepter),
            (self.accepter_peering_connection_options, self.accepter, self.requester),
        )
        return {
            own: other
            for options, own, other in sides
            if options.allow_dns_resolution_from_remote_vpc
        }


@dataclass(frozen=True, config=STRICT)
class Host:
    """A machine in a site; it answers on 80/http, 7/tcp and 7/udp with what it saw."""

    name: str
    address: Ip


@dataclass(frozen=True, config=STRICT)
class Connection:
    """A Site-to-Site VPN or a Direct Connect private virtual interface.

    gateway: the VPC whose virtual private gateway it ends at, or a transit gateway.  routing: of
    a VPN; Direct Connect has BGP always.  routes: the ranges it announces; none means all of its
    site.  up: whether the tunnel or interface works.  mtu: in bytes; none means 1446 (VPN) or
    1500 (Direct Connect).
    """

    name: str
    gateway: str
    type: Literal["vpn", "direct-connect"] = "vpn"
    routing: Literal["bgp", "static"] = "bgp"
    routes: tuple[Cidr, ...] | None = None
    up: bool = True
    mtu: Annotated[Whole | None, Field(ge=576, le=9001)] = None


@dataclass(frozen=True, config=STRICT)
class Site:
    """An on-premises network: a customer gateway of the site's name, and hosts behind it.

    default_route: the connection that takes what the site knows nothing of; empty for none.
    """

    name: str
    cidrs: tuple[Cidr, ...]
    hosts: Annotated[tuple[Host, ...], named(short="address")] = ()
    connections: Annotated[tuple[Connection, ...], named()] = ()
    default_route: str = ""


@dataclass(frozen=True, config=STRICT)
class Attachment:
    """A VPC's attachment to a transit gateway: a subnet in each zone whose instances may use it.

    What comes in by it meets the route table of those subnets.  route_table: of the transit
    gateway, for what comes from the VPC (its association).  propagate_to: those that learn the
    VPC's ranges.  security_group_referencing_support: as of the gateway, whose own counts too.
    """

    name: str
    vpc: str
    subnets: tuple[str, ...]
    route_table: str = "default"
    propagate_to: tuple[str, ...] = ("default",)
    security_group_referencing_support: bool = True


@dataclass(frozen=True, config=STRICT)
class TransitRoute:
    """A static route.  target: an attachment, a site's connection `office-vpn`, or `blackhole`."""

    destination: Cidr
    target: str


@dataclass(frozen=True, config=STRICT)
class TransitRouteTable:
    """Static routes beside the propagated ones; it need not be described to have those."""

    name: str
    routes: Annotated[tuple[TransitRoute, ...], named("destination", short="target")] = ()


@dataclass(frozen=True, config=STRICT)
class TransitGateway:
    """A transit gateway; its name is a route target in the VPCs attached to it.

    Sites' connections whose gateway it is are associated with, and propagate to, its table
    `default`.  decrements_ttl: whether it is a hop; AWS says nothing of it.
    security_group_referencing_support: inbound rules may name the groups of attached VPCs.
    """

    name: str
    attachments: Annotated[tuple[Attachment, ...], named()] = ()
    route_tables: Annotated[tuple[TransitRouteTable, ...], named(short="routes")] = ()
    decrements_ttl: bool = False
    security_group_referencing_support: bool = False
