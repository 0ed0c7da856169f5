"""What the parts of a VPC are called in the lab: namespaces, bridges, route table numbers."""

import re
from ipaddress import IPv4Address

from testbed.net import names
from testbed.vpc.model import RouteTable, Subnet, Vpc

ACCOUNT = "123456789012"  # the one in AWS's examples
INTERNET = "internet"  # the namespace of everything outside
NOWHERE = "us-east-1"  # the region of a VPC without subnets: EC2's first
ZONE = r"([a-z]{2}(?:-[a-z]+)+-[0-9])(?:-[a-z]{3}-[0-9])?[a-z]"
RESOLVER_DEVICE = "dns"  # the router's link to the VPC's DNS resolver
ADDRESSES = 1000  # the routing table with one route per assigned address
# Comments of rules that drop what is for a cluster's own addresses and came by the default route
ROUTE_LIMIT = "route limit"  # a pod's, whose node a full route table has no route to
POD_RANGE, SERVICE_RANGE = "pod range", "service range"
FIRST_ROUTE_TABLE = 1  # of the VPC's own tables, in the order of the topology
MAIN_ROUTE_TABLE = "main"  # AWS: a subnet without an association uses the VPC's main table


def router(vpc: str) -> str:
    """The namespace that is a VPC's router and all its subnets."""
    return f"vpc-{vpc}"


def internet_gateway(vpc: str) -> str:
    """The namespace of a VPC's internet gateway."""
    return f"igw-{vpc}"


def private_gateway(vpc: str) -> str:
    """The namespace of a VPC's virtual private gateway."""
    return f"vgw-{vpc}"


def transit_gateway(name: str) -> str:
    """The namespace of a transit gateway, and a VPC router's link to it."""
    return name if name.startswith("tgw-") else f"tgw-{name}"


def resolver(vpc: str) -> str:
    """The namespace of a VPC's DNS resolver."""
    return f"dns-{vpc}"


def network_load_balancer(name: str) -> str:
    """The namespace of a Network Load Balancer's part in a zone."""
    return f"nlb-{name}"


def region(vpc: Vpc) -> str:
    """The region a VPC is in, by the zone of its first subnet: us-west-2a is in us-west-2."""
    regions = (region_of(subnet.availability_zone) for subnet in vpc.subnets)
    return next((one for one in regions if one), NOWHERE)


def region_of(zone: str) -> str:
    """The region of an availability or local zone: us-west-2a, us-west-2-lax-1a; else empty."""
    match = re.fullmatch(ZONE, zone)
    return match[1] if match else ""


def bridge(subnet: Subnet) -> str:
    """The bridge that is a subnet."""
    return names.device(subnet.name)


def gateway_address(subnet: Subnet) -> IPv4Address:
    """The VPC router's address in a subnet: its base plus one."""
    return subnet.cidr[1]


def route_tables(vpc: Vpc) -> tuple[RouteTable, ...]:
    """The VPC's route tables, the main one added where the topology has none."""
    if any(table.name == MAIN_ROUTE_TABLE for table in vpc.route_tables):
        return vpc.route_tables
    return (*vpc.route_tables, RouteTable(MAIN_ROUTE_TABLE))


def table_numbers(vpc: Vpc) -> dict[str, int]:
    """The kernel's number for each of the VPC's route tables."""
    return {table.name: FIRST_ROUTE_TABLE + i for i, table in enumerate(route_tables(vpc))}
