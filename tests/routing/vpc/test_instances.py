"""Bare instances: a question about the VPC alone, asked of real packets and of the prediction."""

from collections.abc import Iterator

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.load import parse
from testbed.plan import endpoints

pytestmark = pytest.mark.kernel

LAB = """
testbed: v1
name: bare
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets:
      a: { cidr: 10.0.1.0/24, availabilityZone: us-west-2a }
      b: { cidr: 10.0.2.0/24, availabilityZone: us-west-2b, routeTable: through }
    routeTables:
      main: { 0.0.0.0/0: internet-gateway }
      through: { 0.0.0.0/0: router }
    instances:
      public: { subnet: a, publicIp: true }
      private: { subnet: a, privateIp: 10.0.1.77, ports: [8080] }
      router: { subnet: a, sourceDestCheck: false, ipForward: true }
      behind: { subnet: b }
"""
HOST = "203.0.113.10"


@pytest.fixture(scope="module")
def lab() -> Iterator[Bed]:
    """Four instances and no cluster."""
    with bring_up(parse(LAB, "bare.yaml")) as up:
        yield up


def test_every_pair_of_instances_reaches_each_other(lab: Bed) -> None:
    """They are rows and columns of the matrix as pods are, with their own ports."""
    ends = {end.name: end for end in endpoints(lab.lab, lab.allocations)}
    assert set(ends) == {"public", "private", "router", "behind"}
    assert str(ends["private"].address) == "10.0.1.77"

    for protocol in ("icmp", "tcp", "http"):
        result = lab.matrix(protocol)
        assert (result.ok, result.failed, result.inconclusive) == (12, (), ())


def test_an_instance_without_a_public_address_does_not_pass_the_internet_gateway(lab: Bed) -> None:
    """The same subnet and table; only the pairing at the gateway differs."""
    assert lab.http("public", HOST).delivered
    assert not lab.briefly.tcp("private", HOST, 80).delivered
    assert lab.path("private", HOST).code == "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"


def test_an_appliance_carries_what_is_not_its_own(lab: Bed) -> None:
    """Its check is off and its kernel forwards; the packet then dies at the internet gateway."""
    path = lab.path("behind", HOST)

    assert [hop.ns for hop in path.hops] == [
        "behind",
        "vpc-main",
        "router",
        "vpc-main",
        "igw-main",
    ]
    assert path.code == "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"


def test_nothing_differs_from_the_plan(lab: Bed) -> None:
    assert not lab.drift()
