"""What AWS would refuse of routes and NAT gateways is refused here."""

from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from testbed.vpc.checks.quotas import warnings
from testbed.vpc.checks.vpc import problems
from testbed.vpc.checks.vpc import warnings as advised
from testbed.vpc.model import PROPAGATION, NatGateway, RouteEntry, RouteTable
from tests.vpc.checked import ENIS, OUT, PUBLIC, only, routed, subnet, vpc_of, with_subnets

GONE = "Invalid{}ID.NotFound"


def test_a_subnet_names_a_route_table_that_is_there() -> None:
    """`main` is always there."""
    vpc = with_subnets(subnet("a", "10.0.0.0/24", route_table="man"))

    assert only(vpc).key == "subnets.a.routeTable"
    assert only(vpc).message == 'there is no route table "man"; did you mean "main"?'


def test_a_table_has_no_more_routes_than_the_quota() -> None:
    """The local route is one of them; propagated ones are not."""
    own = RouteEntry(IPv4Network("192.168.0.0/16"), "blackhole")
    learned = RouteEntry(IPv4Network("192.168.1.0/24"), "blackhole", PROPAGATION)
    table = RouteTable("main", (OUT, own, learned))
    vpc = replace(vpc_of("10.0.0.0/16"), route_tables=(table,), routes_per_route_table=2)

    problem = only(vpc)

    assert (problem.path, problem.code) == (("routeTables", "main"), "RouteLimitExceeded")
    assert "the table has 3 routes" in problem.message
    assert list(problems(replace(vpc, routes_per_route_table=3), ENIS)) == []


@pytest.mark.parametrize(
    ("destination", "target", "code", "words"),
    [
        ("10.0.0.0/16", "nat", "RouteAlreadyExists", "local already"),
        ("10.0.1.0/25", "nat", "InvalidParameterValue", "exactly a subnet's range"),
        ("10.0.1.0/24", "internet-gateway", "InvalidParameterValue", "only an interface"),
        ("169.254.169.254/32", "nat", "InvalidParameterValue", "169.254.168.0/22"),
        ("0.0.0.0/0", "internet-gatway", GONE.format("Gateway"), 'mean "internet-gateway"?'),
        ("0.0.0.0/0", "nat-b", GONE.format("NatGateway"), '"nat-b"; did you mean "nat"?'),
        ("0.0.0.0/0", "pcx-b", GONE.format("VpcPeeringConnection"), 'no route target "pcx-b"'),
        ("0.0.0.0/0", "tgw-b", GONE.format("TransitGateway"), 'no route target "tgw-b"'),
        ("0.0.0.0/0", "i-0123", GONE.format("Instance"), 'no route target "i-0123"'),
        ("0.0.0.0/0", "node-1/3", GONE.format("NetworkInterface"), "has the ENIs 0 to 2"),
        ("0.0.0.0/0", "node-1/x", GONE.format("NetworkInterface"), "has the ENIs 0 to 2"),
        ("0.0.0.0/0", "node-2/0", GONE.format("Gateway"), 'no route target "node-2/0"'),
    ],
)
def test_a_route_leads_somewhere_and_aws_allows_it(
    destination: str, target: str, code: str, words: str
) -> None:
    """VPC User Guide, "Configure route tables"."""
    problem = only(routed({destination: target}))

    assert problem.path == ("routeTables", "private", destination)
    assert problem.code == code
    assert words in problem.message


def test_a_destination_has_one_route() -> None:
    """A list may have it twice; a map cannot."""
    vpc = replace(vpc_of("10.0.0.0/16"), route_tables=(RouteTable("main", (OUT, OUT)),))

    assert only(vpc).code == "RouteAlreadyExists"


def test_a_public_nat_gateway_in_a_private_subnet_is_warned_of() -> None:
    """AWS takes it: it is there, costs money, and reaches nothing (Troubleshoot NAT gateways)."""
    vpc = with_subnets(subnet("private", "10.0.0.0/24"))
    wrong = replace(vpc, nat_gateways=(NatGateway("nat", "private"),))
    right = replace(vpc, nat_gateways=(NatGateway("nat", "private", connectivity_type="private"),))

    assert list(problems(wrong, ENIS)) == list(problems(right, ENIS)) == []
    assert list(advised(right)) == []
    [problem] = advised(wrong)
    assert problem.key == "natGateways.nat.subnet"
    assert "no route to the internet-gateway" in problem.message


def test_a_private_nat_gateway_needs_no_internet_gateway() -> None:
    """Nor an Elastic IP address, of which there are five in a region."""
    vpc = with_subnets(subnet("private", "10.0.0.0/24"))
    gateways = tuple(
        NatGateway(f"nat-{i}", "private", connectivity_type="private") for i in range(5)
    )
    vpc = replace(vpc, nat_gateways=gateways, internet_gateway=False)

    assert list(problems(vpc, ENIS)) == []
    assert list(warnings([vpc, replace(vpc, name="other")])) == []


def test_a_nat_gateway_needs_an_internet_gateway() -> None:
    """AWS leaves it in the state `failed`, with this code."""
    vpc = with_subnets(subnet("private", "10.0.0.0/24"))
    vpc = replace(vpc, nat_gateways=(NatGateway("nat", "private"),), internet_gateway=False)

    assert (only(vpc).key, only(vpc).code) == ("natGateways.nat", "Gateway.NotAttached")


def test_a_nat_gateway_names_a_subnet_that_is_there() -> None:
    """The nearest one is offered."""
    vpc = with_subnets(subnet("public-a", "10.0.0.0/24"))
    vpc = replace(vpc, route_tables=(PUBLIC,), nat_gateways=(NatGateway("nat", "public"),))

    assert only(vpc).message == 'there is no subnet "public"; did you mean "public-a"?'
