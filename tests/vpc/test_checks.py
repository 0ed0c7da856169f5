"""What AWS would refuse in a VPC is refused here, with AWS's code and the place to look."""

from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from testbed.vpc.checks.quotas import warnings
from testbed.vpc.checks.ranges import restricted
from testbed.vpc.checks.vpc import problems
from testbed.vpc.model import NatGateway, RouteTable
from tests.vpc.checked import ENIS, OUT, only, routed, subnet, vpc_of, with_subnets

LOCAL = ("us-west-2a", "us-west-2-lax-1a")


def test_an_ordinary_vpc_is_fine() -> None:
    """Every kind of target, and a redirected subnet, in one table."""
    vpc = routed(
        {
            "0.0.0.0/0": "nat",
            "10.0.0.0/8": "blackhole",
            "10.0.0.0/24": "node-1/1",
            "192.168.0.0/16": "node-1",
            "198.51.100.0/24": "internet-gateway",
            "169.254.0.0/16": "nat",
        }
    )

    assert list(problems(vpc, ENIS)) == []


@pytest.mark.parametrize("cidr", ["10.0.0.0/15", "10.0.0.0/29", "127.1.0.0/16", "169.254.1.0/24"])
def test_a_range_has_a_size_and_a_place_that_aws_allows(cidr: str) -> None:
    """VPC User Guide, "VPC CIDR blocks"."""
    problem = only(vpc_of(cidr))

    assert (problem.key, problem.code) == ("cidrs[0]", "InvalidVpc.Range")


def test_a_vpc_has_a_range() -> None:
    """And an empty list is easily written."""
    assert only(vpc_of()).key == "cidrs"


def test_the_ranges_of_a_vpc_do_not_overlap() -> None:
    """The second one has no place of its own."""
    problem = only(vpc_of("10.2.0.0/16", "10.2.128.0/17"))

    assert (problem.key, problem.code) == ("cidrs[1]", "InvalidVpc.Range")
    assert problem.message == "10.2.128.0/17 overlaps 10.2.0.0/16 of the same VPC"


@pytest.mark.parametrize(
    ("first", "second", "refused"),
    [
        ("10.2.0.0/16", "192.168.0.0/16", True),
        ("10.2.0.0/16", "172.16.0.0/16", True),
        ("10.2.0.0/16", "198.19.0.0/16", True),
        ("10.2.0.0/16", "10.3.0.0/16", False),
        ("10.2.0.0/16", "10.0.0.0/16", False),
        ("10.0.0.0/16", "10.1.0.0/16", False),  # as the workshop's slides have it
        ("10.1.0.0/16", "10.0.128.0/17", True),  # a range in 10.0.0.0/15: none of 10.0.0.0/16
        ("10.2.0.0/16", "100.64.0.0/16", False),  # EKS custom networking
        ("10.2.0.0/16", "203.0.113.0/24", False),
        ("172.16.0.0/16", "10.2.0.0/16", True),
        ("172.16.0.0/16", "172.31.0.0/16", True),
        ("172.16.0.0/16", "172.17.0.0/16", False),
        ("192.168.0.0/17", "172.16.0.0/16", True),
        ("192.168.0.0/17", "192.168.128.0/17", False),
        ("198.19.0.0/17", "10.2.0.0/16", True),
        ("198.19.0.0/17", "198.19.128.0/17", False),
        ("100.64.0.0/16", "10.2.0.0/16", True),
        ("100.64.0.0/16", "198.19.0.0/16", True),
        ("100.64.0.0/16", "100.65.0.0/16", False),
        ("203.0.113.0/24", "192.168.0.0/16", True),
    ],
)
def test_some_ranges_do_not_go_together(first: str, second: str, refused: bool) -> None:
    """The table of restricted associations in the VPC User Guide."""
    assert restricted(IPv4Network(second), (IPv4Network(first),)) is refused


def test_a_restricted_range_is_refused_in_aws_words() -> None:
    """They are what one finds in a search."""
    problem = only(vpc_of("10.2.0.0/16", "192.168.0.0/16"))

    assert (problem.key, problem.code) == ("cidrs[1]", "InvalidVpc.Range")
    assert problem.message.startswith("The CIDR '192.168.0.0/16' is restricted.")


@pytest.mark.parametrize(
    ("cidr", "code"),
    [
        ("10.0.0.0/29", "InvalidSubnet.Range"),
        ("10.1.0.0/24", "InvalidSubnet.Range"),
        ("10.0.64.0/18", "InvalidSubnet.Conflict"),
    ],
)
def test_a_subnet_has_a_range_of_its_own_inside_the_vpc(cidr: str, code: str) -> None:
    """Its size, its place, and no neighbour in it."""
    vpc = with_subnets(subnet("first", "10.0.127.0/24"), subnet("second", cidr))

    assert (only(vpc).key, only(vpc).code) == ("subnets.second.cidr", code)


@pytest.mark.parametrize("name", ["Web", "web_a", "-a", "a.b", "", "a" * 64, "lo", "igw"])
def test_a_subnet_has_a_name_that_can_be_one(name: str) -> None:
    """A DNS label, and no device that the router's namespace has already."""
    assert only(with_subnets(subnet(name, "10.0.0.0/24"))).path == ("subnets", name)


def test_a_subnet_cannot_be_named_like_a_port_of_the_router() -> None:
    """Bridges and ports are devices of one namespace."""
    vpc = with_subnets(subnet("node-1-e1", "10.0.1.0/24"))

    [problem] = problems(vpc, {"node-1": 2})

    assert problem.key == "subnets.node-1-e1"


def test_a_vpc_has_quotas() -> None:
    """One less is fine each time; the main route table is one of the 200."""
    ranges = [f"10.{i}.0.0/16" for i in range(6)]
    tables = tuple(RouteTable(f"t-{i}") for i in range(200))
    subnets = tuple(
        subnet(f"s-{i}", f"10.{i // 250}.{i % 250}.0/24", route_table="public") for i in range(201)
    )
    gateways = tuple(NatGateway(f"nat-{i}", "s-0") for i in range(6))
    public = (RouteTable("public", (OUT,)),)

    for whole, less, code in (
        (vpc_of(*ranges), vpc_of(*ranges[1:]), "CidrLimitExceeded"),
        (
            replace(vpc_of("10.0.0.0/16"), route_tables=tables),
            replace(vpc_of("10.0.0.0/16"), route_tables=tables[1:]),
            "RouteTableLimitExceeded",
        ),
        (
            replace(with_subnets(*subnets), route_tables=public),
            replace(with_subnets(*subnets[1:]), route_tables=public),
            "SubnetLimitExceeded",
        ),
        (
            replace(with_subnets(subnets[0]), route_tables=public, nat_gateways=gateways),
            replace(with_subnets(subnets[0]), route_tables=public, nat_gateways=gateways[1:]),
            "NatGatewayLimitExceeded",
        ),
    ):
        assert only(whole).code == code
        assert list(problems(less, ENIS)) == []


def test_quotas_of_an_account_are_warned_of() -> None:
    """They are raised on request, and the lab knows of none."""
    vpcs = [replace(vpc_of("10.0.0.0/16"), name=f"v-{i}") for i in range(6)]
    gateways = tuple(NatGateway(f"nat-{i}", "a") for i in range(6))

    assert ["VpcLimitExceeded" in one.message for one in warnings(vpcs)] == [True]
    assert list(warnings(vpcs[1:])) == []
    [problem] = warnings([replace(vpcs[0], nat_gateways=gateways)])
    assert "AddressLimitExceeded" in problem.message


@pytest.mark.parametrize("zone", ["", "a" * 64, "us west 2a", "us-west-2", "us-west-2A"])
def test_a_zone_has_a_name_that_fits_into_dns_names(zone: str) -> None:
    """The domain of the VPC's resolver is made of it, which dnsmasq has to read."""
    odd = replace(subnet("a", "10.0.1.0/24"), availability_zone=zone)

    assert only(with_subnets(odd)).path == ("subnets", "a", "availabilityZone")
    assert only(with_subnets(odd)).code == "InvalidParameterValue"


def test_all_zones_of_a_vpc_are_in_one_region() -> None:
    """A local zone's region is in its name too."""
    here, local = (replace(subnet("a", "10.0.1.0/24"), availability_zone=zone) for zone in LOCAL)
    there = replace(subnet("b", "10.0.2.0/24"), availability_zone="eu-west-1a")

    assert list(problems(with_subnets(here, replace(local, name="b", cidr=there.cidr)), {})) == []
    problem = only(with_subnets(here, there))
    assert (problem.key, problem.code) == ("subnets.b.availabilityZone", "InvalidParameterValue")
    assert "expected a zone of us-west-2" in problem.message
