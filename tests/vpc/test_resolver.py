"""The way to a VPC's DNS server."""

from ipaddress import IPv4Address, IPv4Network

from testbed.net.facts import NftElement, Route, Rule
from testbed.vpc.fabric.frames import GATEWAY_MAC, MACS
from testbed.vpc.fabric.resolver import resolver_address, resolver_facts
from testbed.vpc.model import Subnet, Vpc
from testbed.vpc.naming import ADDRESSES, region

FIRST = Subnet("first", IPv4Network("10.0.0.0/24"), "us-west-2a")
SECOND = Subnet("second", IPv4Network("10.0.1.0/24"), "us-west-2b")
MAIN = Vpc("main", (IPv4Network("10.0.0.0/16"), IPv4Network("10.1.0.0/16")), (SECOND, FIRST))


def test_it_is_the_first_ranges_base_plus_two() -> None:
    assert resolver_address(MAIN) == IPv4Address("10.0.0.2")


SERVICES = {"10.0.0.2", "169.254.169.253", "169.254.169.254"}  # DNS twice, instance metadata


def test_the_router_sends_it_there_before_any_route_table() -> None:
    """AWS: no route table can keep an instance from it, nor a route to another part of the VPC."""
    state = frozenset(resolver_facts(MAIN))

    rules = [fact for fact in state if isinstance(fact, Rule)]
    assert {str(rule.dst) for rule in rules} == {"10.0.0.2/32", "169.254.168.0/22"}
    assert {(rule.ns, rule.table) for rule in rules} == {("vpc-main", ADDRESSES)}
    assert all(rule.priority < 100 for rule in rules), "the subnets' route tables"
    routes = [fact for fact in state if isinstance(fact, Route) and fact.ns == "vpc-main"]
    there = {str(route.dst) for route in routes if route.dev == "dns"}
    assert there == {f"{address}/32" for address in SERVICES}
    [nothing] = [route for route in routes if route.dev != "dns"]
    assert (str(nothing.dst), nothing.kind) == ("169.254.168.0/22", "blackhole")
    assert {route.table for route in routes} == {ADDRESSES}


def test_arp_for_it_is_answered_with_the_routers_mac() -> None:
    """Instances of its subnet take it for a neighbour; link-local addresses are everybody's."""
    mapping = {
        (fact.element, fact.value)
        for fact in resolver_facts(MAIN)
        if isinstance(fact, NftElement) and fact.set == MACS
    }

    assert mapping == {(address, GATEWAY_MAC) for address in SERVICES}


def test_a_region_is_a_zone_without_its_letter() -> None:
    assert region(MAIN) == "us-west-2"
    for zone, there in (("eu-central-1b", "eu-central-1"), ("us-west-2-lax-1a", "us-west-2")):
        assert region(Vpc("main", MAIN.cidrs, (Subnet("a", FIRST.cidr, zone),))) == there
    assert region(Vpc("main", MAIN.cidrs)) == "us-east-1"
