"""What AWS would refuse in a VPC is refused here, with AWS's code and the place to look."""

from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from testbed.description.problem import Problem
from testbed.vpc.checks.quotas import warnings
from testbed.vpc.checks.ranges import restricted
from testbed.vpc.checks.vpc import problems
from testbed.vpc.checks.vpc import warnings as advised
from testbed.vpc.model import PROPAGATION, NatGateway, RouteEntry, RouteTable, Subnet, Vpc

OUT = RouteEntry(IPv4Network("0.0.0.0/0"), "internet-gateway")
PUBLIC = RouteTable("main", (OUT,))
LOCAL = ("us-west-2a", "us-west-2-lax-1a")
GONE = "Invalid{}ID.NotFound"
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


@pytest.mark.parametrize("name", ["Web", "web_a", "-a", "a.b", "", "a" * 64, "lo", "igw"])
def test_a_subnet_has_a_name_that_can_be_one(name: str) -> None:
    """A DNS label, and no device that the router's namespace has already."""
    assert only(with_subnets(subnet(name, "10.0.0.0/24"))).path == ("subnets", name)


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
