"""A peer without a route back answers a NAT gateway all the same, and nobody else."""

from collections.abc import Iterator

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.explain.reachability import question
from testbed.explain.walk.predict import predict
from testbed.load import parse
from testbed.net.facts import Rule
from testbed.probes.asked.path import CHOSEN_BY_KERNEL
from testbed.probes.asked.present import Present

pytestmark = pytest.mark.kernel

LAB = """
testbed: v1
name: returned
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets:
      public: { cidr: 10.0.1.0/24, availabilityZone: us-west-2a, routeTable: public }
      private: { cidr: 10.0.2.0/24, availabilityZone: us-west-2a, routeTable: private }
    routeTables:
      public: { 0.0.0.0/0: internet-gateway, 10.8.0.0/16: pcx }
      private: { 0.0.0.0/0: nat-a }
    natGateways: { nat-a: { subnet: public } }
    instances: { behind: { subnet: private }, direct: { subnet: public } }
  shared:
    cidrs: [10.8.0.0/16]
    internetGateway: false
    subnets: { shared-a: { cidr: 10.8.1.0/24, availabilityZone: us-west-2a } }
    instances: { tools: { subnet: shared-a } }
peerings:
  pcx: { requester: main, accepter: shared }
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Bed]:
    """Two peered VPCs; one has no route to the other."""
    with bring_up(parse(LAB, "returned.yaml")) as up:
        yield up


def test_who_comes_by_a_nat_gateway_is_answered_without_a_route(lab: Bed) -> None:
    """VPC User Guide, "NAT gateway basics"; the peer sees the gateway's private address."""
    answer = lab.http("behind", "tools").answer

    assert answer is not None
    assert answer["client"].startswith(f"{lab.address('nat-a')}:")
    assert lab.ping("behind", "tools").received == 1


def test_who_comes_by_itself_is_not(lab: Bed) -> None:
    assert lab.path("direct", "tools").delivered
    assert lab.briefly.ping("direct", "tools").received == 0


def test_only_replies_return(lab: Bed) -> None:
    """What the peer begins has no way to the gateway, nor to anything else there."""
    assert lab.path("tools", "nat-a").code == "NO_ROUTE_TO_DESTINATION"
    assert lab.briefly.ping("tools", "direct").received == 0


def test_the_prediction_knows_the_way_back(lab: Bed) -> None:
    header = question("icmp", CHOSEN_BY_KERNEL, lab.address("tools"))
    [trip] = predict(Present(lab.store, lab.state), "behind", header)

    assert trip.there.end.delivered
    assert trip.back is not None
    assert trip.back.end.delivered
    assert [visit.ns for visit in trip.back.visits] == [
        "tools",
        "vpc-shared",
        "vpc-main",
        "nat-a",
        "vpc-main",
        "behind",
    ]


def test_without_the_rule_nothing_returns(lab: Bed) -> None:
    rule = lab.fact(Rule, ns="vpc-shared", priority=80)

    with lab.without(rule):
        assert lab.briefly.ping("behind", "tools").received == 0
    assert lab.ping("behind", "tools").received == 1
    assert not lab.drift()
