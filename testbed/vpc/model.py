"""What a topology says of a VPC, in AWS's words (VPC User Guide)."""

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from testbed.description import INVALID, STRICT, Cidr, Ip, Whole, named
from testbed.description.ports import ECHO_PORTS, Ports
from testbed.vpc.security.model import DEFAULT, NetworkAcl, PrefixList, SecurityGroup

INTERNET_GATEWAY = "internet-gateway"
VIRTUAL_PRIVATE_GATEWAY = "virtual-private-gateway"
BLACKHOLE = "blackhole"
ROUTES_PER_ROUTE_TABLE = 500  # Amazon VPC quotas
PROPAGATION = "EnableVgwRoutePropagation"  # DescribeRouteTables: a route's Origin


@dataclass(frozen=True, config=STRICT)
class Subnet:
    """A range of one availability zone; its first four addresses and its last are AWS's."""

    name: str
    cidr: Cidr
    availability_zone: str
    route_table: str = "main"
    map_public_ip_on_launch: bool = False
    tags: Mapping[str, str] | None = None
    network_acl: str = DEFAULT


@dataclass(frozen=True, config=STRICT)
class RouteEntry:
    """`target`: a NAT gateway, node, instance, ENI or peering by name, or one of three words.

    `internet-gateway`, `virtual-private-gateway` and `blackhole` are those; an ENI is written
    `node/1`: the node's network interface with that device index.
    origin: who made the route, where the topology did not.  prefix_list: the one it is of.
    """

    destination: Cidr
    target: str
    origin: str = ""
    prefix_list: str = ""


@dataclass(frozen=True, config=STRICT)
class PrefixListRoute:
    """A route to all entries of a prefix list of the VPC.

    It comes after a static route to the same range, and before a propagated one.
    """

    prefix_list: str
    target: str


@dataclass(frozen=True, config=STRICT)
class RouteTable:
    """Routes beyond the `local` one, which every table has for every range of the VPC.

    In a file both kinds stand in one map: what begins with a letter is a prefix list's name.
    """

    name: str
    routes: Annotated[tuple[RouteEntry, ...], named("destination", short="target")] = ()
    prefix_list_routes: Annotated[
        tuple[PrefixListRoute, ...], named("prefixList", short="target")
    ] = ()

    @model_validator(mode="before")
    @classmethod
    def _apart(cls, given: Any) -> Any:
        """Ranges and names of prefix lists, which a file has together."""
        routes = given.get("routes") if isinstance(given, dict) else None
        if not isinstance(routes, Mapping):
            return given
        lists = {key: routes[key] for key in routes if re.match("[a-z]", str(key))}
        ranges = {key: routes[key] for key in routes if key not in lists}
        return {**given, "routes": ranges, "prefixListRoutes": lists} if lists else given


@dataclass(frozen=True, config=STRICT)
class NatGateway:
    """A NAT gateway: an ENI in a subnet, a public one's paired with an Elastic IP.

    A public one belongs into a public subnet.  A private one has no public address: it hides who
    calls a peer, a transit gateway or an office.
    serves_every_source: whether it takes addresses that are neither the VPC's nor come by a
    transit gateway; of kubenet's pods, whom a route of the VPC leads to, AWS says nothing.
    """

    name: str
    subnet: str
    serves_every_source: bool = False
    connectivity_type: Annotated[Literal["public", "private"], INVALID] = "public"

    @property
    def is_public(self) -> bool:
        """Whether it has an Elastic IP address."""
        return self.connectivity_type == "public"


@dataclass(frozen=True, config=STRICT)
class MetadataOptions:
    """How an instance may ask the instance metadata service; EC2's own defaults.

    http_put_response_hop_limit: network hops that a token survives; pods need 2.
    """

    http_endpoint: Annotated[Literal["enabled", "disabled"], INVALID] = "enabled"
    http_tokens: Annotated[Literal["optional", "required"], INVALID] = "optional"
    http_put_response_hop_limit: Annotated[Whole, Field(ge=1, le=64), INVALID] = 1


@dataclass(frozen=True, config=STRICT)
class Instance:
    """A bare EC2 instance: one ENI, and a server on each port that answers with what it saw.

    secondary_private_ips: further addresses of its ENI, which it has on eth0 too.
    public_ip: none leaves it to its subnet's mapPublicIpOnLaunch.  ip_forward: its kernel routes,
    as an appliance's or a NAT instance's does.  docker: it has docker's bridge, docker0.
    security_groups: none for the VPC's default one.  state: a stopped one keeps its private
    address, gives its public one back, and nothing reaches it.
    """

    name: str
    subnet: str
    instance_type: str = "t3.micro"
    private_ip: Ip | None = None
    secondary_private_ips: tuple[Ip, ...] = ()
    public_ip: bool | None = None
    source_dest_check: bool = True
    ip_forward: bool = False
    docker: bool = False
    ports: Ports = ECHO_PORTS
    security_groups: tuple[str, ...] = ()
    metadata_options: MetadataOptions = MetadataOptions()
    state: Literal["running", "stopped"] = "running"

    @property
    def is_running(self) -> bool:
        """Whether it is there for packets."""
        return self.state == "running"


@dataclass(frozen=True, config=STRICT)
class VirtualPrivateGateway:
    """The VPC's end of its VPN and Direct Connect connections.

    propagate_to: the route tables that learn what on-premises sites announce.
    path_mtu_discovery: whether it tells the sender of a packet that is too big for a connection;
    AWS's VPN does not (Site-to-Site VPN User Guide, limitations).  decrements_ttl: whether it is a
    hop; AWS says nothing of it.
    """

    propagate_to: tuple[str, ...] = ()
    path_mtu_discovery: bool = False
    decrements_ttl: bool = True


@dataclass(frozen=True, config=STRICT)
class Vpc:
    """A VPC.  A subnet that names no route table uses `main`, which is there unless described.

    security_groups: described ones, `default` among them or not, put a group on every network
    interface, as AWS does; where none is described, the lab filters nothing.
    enable_dns_support: whether its DNS server answers.  enable_dns_hostnames: whether public
    addresses have names.  Both are on, as in the VPCs that are made for EKS.
    routes_per_route_table: AWS's quota, local routes among them; 50 until June 2025.
    acls_meet_hairpins: whether network ACLs are asked about what a guest sends to its own subnet
    by the router's MAC; AWS says nothing of it.
    """

    name: str
    cidrs: tuple[Cidr, ...]
    subnets: Annotated[tuple[Subnet, ...], named()] = ()
    route_tables: Annotated[tuple[RouteTable, ...], named(short="routes")] = ()
    nat_gateways: Annotated[tuple[NatGateway, ...], named()] = ()
    instances: Annotated[tuple[Instance, ...], named()] = ()
    internet_gateway: bool = True
    virtual_private_gateway: VirtualPrivateGateway | None = None
    routes_per_route_table: Annotated[Whole, Field(ge=1, le=1000)] = ROUTES_PER_ROUTE_TABLE
    router_answers_ping: bool = False  # AWS says nothing of it; silent is the default
    acls_meet_hairpins: bool = True
    enable_dns_support: bool = True
    enable_dns_hostnames: bool = True
    security_groups: Annotated[tuple[SecurityGroup, ...], named()] = ()
    prefix_lists: Annotated[tuple[PrefixList, ...], named()] = ()
    network_acls: Annotated[tuple[NetworkAcl, ...], named()] = ()

    @property
    def running(self) -> tuple[Instance, ...]:
        """The bare instances that are there for packets."""
        return tuple(one for one in self.instances if one.is_running)

    def free_routes(self, table: RouteTable) -> int:
        """How many routes a table takes besides its own.

        Propagated ones do not count; a prefix list counts as often as it may have entries.
        """
        made = [e for e in table.routes if e.origin != PROPAGATION and not e.prefix_list]
        weights = {one.name: one.max_entries or len(one.entries) for one in self.prefix_lists}
        lists = sum(weights.get(one.prefix_list, 0) for one in table.prefix_list_routes)
        return self.routes_per_route_table - len(self.cidrs) - len(made) - lists

    def is_public(self, subnet: Subnet) -> bool:
        """AWS: public means that the subnet's route table leads to an internet gateway."""
        return self.internet_gateway and any(
            entry.target == INTERNET_GATEWAY
            for table in self.route_tables
            if table.name == subnet.route_table
            for entry in table.routes
        )


@dataclass(frozen=True, config=STRICT)
class Internet:
    """The outside: hosts that serve HTTP, and the range public addresses come from (RFC 5737)."""

    hosts: tuple[Ip, ...] = (IPv4Address("203.0.113.10"), IPv4Address("198.51.100.10"))
    public_cidr: Cidr = IPv4Network("192.0.2.0/24")
