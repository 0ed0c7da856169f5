"""How much of everything AWS gives to a VPC, and to an account in a region, unless asked for more.

Source: Amazon VPC quotas, the defaults.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from testbed.description.problem import Problem, Problems
from testbed.vpc.model import NatGateway, Vpc
from testbed.vpc.naming import region, route_tables

# Of one VPC: the topology's key, how many, what they are called, and AWS's code
_OF_A_VPC: tuple[tuple[str, int, str, str, Callable[[Vpc], int]], ...] = (
    ("cidrs", 5, "IPv4 CIDR blocks", "CidrLimitExceeded", lambda vpc: len(vpc.cidrs)),
    ("subnets", 200, "subnets", "SubnetLimitExceeded", lambda vpc: len(vpc.subnets)),
    (
        "routeTables",
        200,
        "route tables",
        "RouteTableLimitExceeded",
        lambda vpc: len(route_tables(vpc)),
    ),
)
MOST_NAT_GATEWAYS = 5  # of a zone
MOST_VPCS = 5  # of a region; so many internet gateways too
MOST_ADDRESSES = 5  # Elastic IP addresses of a region


def problems(vpc: Vpc) -> Problems:
    """What a VPC has too much of; paths start at it."""
    for key, most, what, code, count in _OF_A_VPC:
        if count(vpc) > most:
            yield Problem((key,), f"a VPC has at most {most} {what}, not {count(vpc)}", code)
    for zone, gateways in _by_zone(vpc):
        if len(gateways) > MOST_NAT_GATEWAYS:
            message = f"{zone} has at most {MOST_NAT_GATEWAYS} NAT gateways, not {len(gateways)}"
            path = ("natGateways", gateways[MOST_NAT_GATEWAYS].name)
            yield Problem(path, message, "NatGatewayLimitExceeded")


def _by_zone(vpc: Vpc) -> Iterator[tuple[str, list[NatGateway]]]:
    zones = {subnet.name: subnet.availability_zone for subnet in vpc.subnets}
    for zone in dict.fromkeys(zones.values()):
        yield zone, [one for one in vpc.nat_gateways if zones.get(one.subnet) == zone]


def warnings(vpcs: Iterable[Vpc]) -> Problems:
    """What an account has more of in a region than AWS gives without a request."""
    vpcs = tuple(vpcs)
    for place, count in Counter(map(region, vpcs)).items():
        if count > MOST_VPCS:
            message = f"{count} VPCs in {place}: AWS's quota is {MOST_VPCS} (VpcLimitExceeded)"
            yield Problem(("vpcs",), message)
        there = [one for vpc in vpcs if region(vpc) == place for one in vpc.nat_gateways]
        gateways = sum(one.is_public for one in there)
        if gateways > MOST_ADDRESSES:
            message = (
                f"{gateways} public NAT gateways in {place} need as many Elastic IP addresses:"
                f" AWS's quota is {MOST_ADDRESSES} (AddressLimitExceeded)"
            )
            yield Problem(("vpcs",), message)
