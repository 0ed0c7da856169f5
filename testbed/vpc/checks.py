"""What AWS would refuse in a VPC: its ranges, subnets and NAT gateways; paths start at the VPC."""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network

from testbed.description.problem import Problem, Problems, names, quoted, unknown
from testbed.net.names import device
from testbed.vpc import instance_checks, ranges, route_checks
from testbed.vpc.model import INTERNET_GATEWAY, Subnet, Vpc
from testbed.vpc.naming import bridge, route_tables

MOST_ROUTE_TABLES = 200  # Amazon VPC quotas
# Names that Linux or the lab gives to other devices of the router's namespace.
DEVICES = {"all", "default", "lo", "igw", "dns"}


def problems(vpc: Vpc, enis: Mapping[str, int]) -> Problems:
    """Everything wrong with a VPC.  enis: how many ENIs each of its instances may have."""
    yield from names((), vpc.name)
    yield from _ranges(vpc)
    for i, subnet in enumerate(vpc.subnets):
        for problem in (*_subnet(vpc, subnet), *_twice(subnet, vpc.subnets[:i])):
            yield problem.under("subnets", subnet.name)
    yield from _devices(vpc, enis)
    yield from route_checks.problems(vpc, enis)
    yield from _nat_gateways(vpc)
    yield from _instances(vpc)
    if len(vpc.route_tables) > MOST_ROUTE_TABLES:
        message = f"a VPC has at most {MOST_ROUTE_TABLES} route tables"
        yield Problem(("routeTables",), message, "RouteTableLimitExceeded")


def _devices(vpc: Vpc, enis: Mapping[str, int]) -> Problems:
    """Subnets are bridges beside the ENIs' ports in the router's namespace: names meet there."""
    ports = {device(f"{node}-e{i}") for node, most in enis.items() for i in range(most)}
    for subnet in vpc.subnets:
        if bridge(subnet) in ports:
            message = f"{quoted(subnet.name)} is the name of a node's port on the VPC's router"
            yield Problem(("subnets", subnet.name), message)


def _ranges(vpc: Vpc) -> Problems:
    if not vpc.cidrs:
        yield Problem(("cidrs",), "a VPC has at least one range")
    for i, cidr in enumerate(vpc.cidrs):
        for message in _range(cidr, vpc.cidrs[:i]):
            yield Problem(("cidrs", i), message, "InvalidVpc.Range")


def _range(cidr: IPv4Network, before: tuple[IPv4Network, ...]) -> Iterator[str]:
    if not ranges.fits(cidr):
        yield f"a VPC's range is a /16 to a /28, not {cidr}"
    elif any(cidr.overlaps(never) for never in ranges.NEVER):
        yield f"a VPC cannot have {cidr}"
    elif twice := [other for other in before if cidr.overlaps(other)]:
        yield f"{cidr} overlaps {twice[0]} of the same VPC"
    elif before and ranges.restricted(cidr, before):
        yield (
            f"The CIDR '{cidr}' is restricted. Use a CIDR from the same private address range as"
            " the current VPC CIDR, or use a publicly-routable CIDR."
        )


def _subnet(vpc: Vpc, subnet: Subnet) -> Problems:
    yield from names((), subnet.name)
    if subnet.name in DEVICES:
        yield Problem((), f"{quoted(subnet.name)} is a device of the VPC's router already")
    if not subnet.availability_zone:
        yield Problem(("availabilityZone",), "a subnet is in an availability zone: us-west-2a")
    cidr = subnet.cidr
    if not ranges.fits(cidr):
        message = f"a subnet is a /16 to a /28, not {cidr}"
        yield Problem(("cidr",), message, "InvalidSubnet.Range")
    elif not any(cidr.subnet_of(whole) for whole in vpc.cidrs):
        message = f"{cidr} is not inside the VPC's {' or '.join(map(str, vpc.cidrs))}"
        yield Problem(("cidr",), message, "InvalidSubnet.Range")
    tables = {table.name for table in route_tables(vpc)}
    if subnet.route_table not in tables:
        yield Problem(("routeTable",), unknown("route table", subnet.route_table, tables))


def _twice(subnet: Subnet, before: tuple[Subnet, ...]) -> Problems:
    """What a subnet has in common with an earlier one and may not."""
    for other in before:
        if other.name == subnet.name:
            yield Problem((), f"there are two subnets {quoted(subnet.name)}")
        if other.cidr.overlaps(subnet.cidr):
            message = f"{subnet.cidr} overlaps {other.cidr} of subnet {quoted(other.name)}"
            yield Problem(("cidr",), message, "InvalidSubnet.Conflict")


def _nat_gateways(vpc: Vpc) -> Problems:
    subnets = {subnet.name: subnet for subnet in vpc.subnets}
    for gateway in vpc.nat_gateways:
        path = ("natGateways", gateway.name)
        yield from names(path, gateway.name)
        if gateway.subnet not in subnets:
            yield Problem((*path, "subnet"), unknown("subnet", gateway.subnet, subnets))
        elif not vpc.internet_gateway:
            message = f"the VPC {quoted(vpc.name)} has no internet gateway attached"
            yield Problem(path, message, "Gateway.NotAttached")
        elif not vpc.is_public(subnets[gateway.subnet]):
            message = (
                f"a NAT gateway needs a public subnet, but the route table of"
                f" {quoted(gateway.subnet)} has no route to the {INTERNET_GATEWAY}"
            )
            yield Problem((*path, "subnet"), message)


def _instances(vpc: Vpc) -> Problems:
    for instance in vpc.instances:
        yield from names(("instances", instance.name), instance.name)
    yield from instance_checks.problems("instances", vpc.instances, vpc)
