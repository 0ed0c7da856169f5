"""Routes to prefix lists: after a static one to the same range, before a propagated one."""

from collections.abc import Iterator
from ipaddress import IPv4Network

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.errors import AwsError
from testbed.load import parse
from testbed.net.facts import Route

LAB = """
testbed: v1
name: lists
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    virtualPrivateGateway: { propagateTo: [main] }
    subnets: { a: { cidr: 10.0.1.0/24, availabilityZone: us-west-2a } }
    prefixLists:
      offices: { entries: [192.168.0.0/16, 172.20.0.0/16, 172.21.0.0/16, 10.0.1.0/24] }
      others: { entries: [172.21.0.0/16] }
    routeTables:
      main: { 172.20.0.0/16: blackhole, others: second, offices: first }
    instances:
      one: { subnet: a }
      first: { subnet: a, sourceDestCheck: false, ipForward: true }
      second: { subnet: a, sourceDestCheck: false, ipForward: true }
onPremises:
  office:
    cidrs: [192.168.0.0/16]
    hosts: { desk: 192.168.1.10 }
    connections: { dx: { gateway: main, type: direct-connect } }
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Bed]:
    """A range that is announced and in a list, one that is static and in a list, one in two."""
    with bring_up(parse(LAB, "lists.yaml")) as up:
        yield up


@pytest.mark.kernel
def test_static_then_prefix_list_then_propagated(lab: Bed) -> None:
    """How route priority works (VPC User Guide); of two lists the first by name."""
    assert lab.path("one", "172.20.0.1").code == "BAD_STATE_ROUTE", "the static one"
    assert lab.path("one", "192.168.1.10").hops[2].ns == "first", "not the virtual gateway"
    assert lab.path("one", "172.21.0.1").hops[2].ns == "first", "offices, not others"
    assert lab.ping("one", "first").received == 1, "local stays local"
    assert not lab.drift()


@pytest.mark.kernel
def test_without_the_lists_route_the_announced_one_counts(lab: Bed) -> None:
    [of_list] = [
        fact
        for fact in lab.state
        if isinstance(fact, Route)
        and fact.dst == IPv4Network("192.168.0.0/16")
        and fact.ns == "vpc-main"
        and "offices" in fact.why
    ]

    with lab.without(of_list):
        assert lab.path("one", "desk").delivered
        assert lab.ping("one", "desk").received == 1


@pytest.mark.parametrize(
    ("change", "code", "key"),
    [
        (("offices: first", "ofices: first"), "InvalidPrefixListID.NotFound", "ofices"),
        (
            ("cidrs: [10.0.0.0/16]", "cidrs: [10.0.0.0/16]\n    routesPerRouteTable: 6"),
            "RouteLimitExceeded",
            "routeTables.main",
        ),
    ],
)
def test_what_is_refused(change: tuple[str, str], code: str, key: str) -> None:
    """A list counts for as many routes as it may have entries: 1 local, 1 static, 4 and 1."""
    with pytest.raises(AwsError) as refused:
        parse(LAB.replace(*change, 1), "lists.yaml")

    assert refused.value.code == code
    assert key in str(refused.value)
