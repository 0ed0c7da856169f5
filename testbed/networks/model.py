"""What a topology says of the networks around its VPCs, in AWS's words."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from testbed.description import STRICT, Cidr, Ip, Whole, named

# DescribeVpcPeeringConnections, Status
PeeringStatus = Literal["pending-acceptance", "active", "rejected", "expired", "failed", "deleted"]


@dataclass(frozen=True, config=STRICT)
class Peering:
    """A VPC peering connection; its name is a route target in both VPCs.

    Only an active one carries traffic; routes to any other are blackholes.
    """

    name: str
    requester: str
    accepter: str
    status: PeeringStatus = "active"

    @property
    def vpcs(self) -> tuple[str, str]:
        """Both VPCs, by name."""
        return self.requester, self.accepter


@dataclass(frozen=True, config=STRICT)
class Host:
    """A machine in a site; it answers on 80/http, 7/tcp and 7/udp with what it saw."""

    name: str
    address: Ip


@dataclass(frozen=True, config=STRICT)
class Connection:
    """A Site-to-Site VPN or a Direct Connect private virtual interface.

    gateway: the VPC whose virtual private gateway it ends at.  routing: of a VPN; Direct Connect
    has BGP always.  routes: the ranges it announces; none means all of its site.  up: whether the
    tunnel or interface works.  mtu: in bytes; none means 1446 (VPN) or 1500 (Direct Connect).
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
