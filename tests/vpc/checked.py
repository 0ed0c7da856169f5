"""VPCs to be checked, and the problem that is found."""

from dataclasses import replace
from ipaddress import IPv4Network

from testbed.description.problem import Problem
from testbed.vpc.checks.vpc import problems
from testbed.vpc.model import NatGateway, RouteEntry, RouteTable, Subnet, Vpc

OUT = RouteEntry(IPv4Network("0.0.0.0/0"), "internet-gateway")
PUBLIC = RouteTable("main", (OUT,))
ENIS = {"node-1": 3}  # a t3.small may have ENIs 0, 1 and 2


def vpc_of(*cidrs: str) -> Vpc:
    """A VPC of these ranges, with nothing in it."""
    return Vpc("main", tuple(IPv4Network(cidr) for cidr in cidrs))


def with_subnets(*subnets: Subnet) -> Vpc:
    """A VPC 10.0.0.0/16 with these subnets."""
    return replace(vpc_of("10.0.0.0/16"), subnets=subnets)


def subnet(name: str, cidr: str, route_table: str = "main") -> Subnet:
    """A subnet of the first zone."""
    return Subnet(name, IPv4Network(cidr), "us-west-2a", route_table)


def only(vpc: Vpc) -> Problem:
    """The one thing wrong with a VPC."""
    found = list(problems(vpc, ENIS))
    assert len(found) == 1, found
    return found[0]


def routed(routes: dict[str, str]) -> Vpc:
    """A VPC with two subnets, a NAT gateway in the public one, and these routes in the other."""
    entries = tuple(RouteEntry(IPv4Network(to), target) for to, target in routes.items())
    return replace(
        with_subnets(
            subnet("public", "10.0.0.0/24"),
            subnet("private", "10.0.1.0/24", route_table="private"),
        ),
        route_tables=(PUBLIC, RouteTable("private", entries)),
        nat_gateways=(NatGateway("nat", "public"),),
    )
