"""What AWS would refuse in a VPC: its ranges, subnets and NAT gateways; paths start at the VPC."""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network

from testbed.description.problem import Problem, Problems, names, quoted, unknown
from testbed.net.names import device
from testbed.vpc.checks import instances as instance_checks
from testbed.vpc.checks import quotas, ranges
from testbed.vpc.checks import routes as route_checks
from testbed.vpc.checks.routes import NOTHING_AROUND, Around
from testbed.vpc.model import INTERNET_GATEWAY, Subnet, Vpc
from testbed.vpc.naming import bridge, region, region_of, route_tables

# Names that Linux or the lab gives to other devices of the router's namespace.
DEVICES = {"all", "default", "lo", "igw", "dns", "vgw"}


def problems(vpc: Vpc, enis: Mapping[str, int], around: Around = NOTHING_AROUND) -> Problems:
    """Everything wrong with a VPC.  enis: how many ENIs each of its instances may have."""
    yield from names((), vpc.name)
    yield from _ranges(vpc)
    for i, subnet in enumerate(vpc.subnets):
        for problem in (*_subnet(vpc, subnet), *_twice(subnet, vpc.subnets[:i])):
            yield problem.under("subnets", subnet.name)
    yield from _devices(vpc, enis, around)
    yield from route_checks.problems(vpc, enis, around)
    yield from _nat_gateways(vpc)
    yield from _instances(vpc)
    yield from _propagation(vpc)
    yield from quotas.problems(vpc)


def warnings(vpc: Vpc) -> Problems:
    """What AWS takes, and what then reaches nothing; paths start at the VPC."""
    subnets = {subnet.name: subnet for subnet in vpc.subnets}
    for gateway in vpc.nat_gateways:
        if gateway.is_public and not vpc.is_public(subnets[gateway.subnet]):
            message = (
                f"a public NAT gateway needs a public subnet to reach the internet, but the route"
                f" table of {quoted(gateway.subnet)} has no route to the {INTERNET_GATEWAY}"
            )
            yield Problem(("natGateways", gateway.name, "subnet"), message)


def _devices(vpc: Vpc, enis: Mapping[str, int], around: Around) -> Problems:
    """Subnets are bridges beside ENIs' ports and links in the router's namespace: names meet."""
    ports = {device(f"{node}-e{i}") for node, most in enis.items() for i in range(most)}
    for subnet in vpc.subnets:
        if bridge(subnet) in ports | around.devices:
            what = "a node's port" if bridge(subnet) in ports else "a link"
            message = f"{quoted(subnet.name)} is the name of {what} on the VPC's router"
            yield Problem(("subnets", subnet.name), message)
    for twice in sorted(ports & around.devices):
        yield Problem((), f"an ENI's port and a link of the VPC's router are both {quoted(twice)}")


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
    yield from _zone(vpc, subnet.availability_zone)
    cidr = subnet.cidr
    if not ranges.fits(cidr):
        message = f"a subnet is a /16 to a /28, not {cidr}"
        yield Problem(("cidr",), message, "InvalidSubnet.Range")
    elif not any(cidr.subnet_of(whole) for whole in vpc.cidrs):
        message = f"{cidr} is not inside the VPC's {' or '.join(map(str, vpc.cidrs))}"
        yield Problem(("cidr",), message, "InvalidSubnet.Range")
    tables = {table.name for table in route_tables(vpc)}
    if subnet.route_table not in tables:
        message = unknown("route table", subnet.route_table, tables)
        yield Problem(("routeTable",), message, "InvalidRouteTableID.NotFound")


def _zone(vpc: Vpc, zone: str) -> Problems:
    """A VPC is in one region; the name of a zone, which is part of DNS names, begins with it."""
    expected = f"a zone of {region(vpc)}" if region_of(zone) else "such as us-west-2a"
    if region_of(zone) != region(vpc):
        message = f"Value ({zone}) for parameter availabilityZone is invalid: expected {expected}"
        yield Problem(("availabilityZone",), message, "InvalidParameterValue")


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
            message = unknown("subnet", gateway.subnet, subnets)
            yield Problem((*path, "subnet"), message, "InvalidSubnetID.NotFound")
        elif gateway.is_public and not vpc.internet_gateway:
            message = f"the VPC {quoted(vpc.name)} has no internet gateway attached"
            yield Problem(path, message, "Gateway.NotAttached")


def _instances(vpc: Vpc) -> Problems:
    for instance in vpc.instances:
        yield from names(("instances", instance.name), instance.name)
    yield from instance_checks.problems("instances", vpc.instances, vpc)
    yield from instance_checks.secondary_problems(vpc)


def _propagation(vpc: Vpc) -> Problems:
    gateway = vpc.virtual_private_gateway
    tables = [table.name for table in route_tables(vpc)]
    for i, name in enumerate(gateway.propagate_to if gateway else ()):
        if name not in tables:
            path = ("virtualPrivateGateway", "propagateTo", i)
            yield Problem(
                path, unknown("route table", name, tables), "InvalidRouteTableID.NotFound"
            )
