"""NAT gateways of either kind, and where they stand: what they are for, and what they miss."""

from collections.abc import Iterator

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.load import parse

pytestmark = pytest.mark.kernel

LAB = """
testbed: v1
name: nat-gateways
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets:
      public: { cidr: 10.0.1.0/24, availabilityZone: us-west-2a, routeTable: public }
      private: { cidr: 10.0.2.0/24, availabilityZone: us-west-2a, routeTable: private }
      exit: { cidr: 10.0.3.0/24, availabilityZone: us-west-2a, routeTable: exit }
      lost: { cidr: 10.0.4.0/24, availabilityZone: us-west-2a, routeTable: lost }
    routeTables:
      public: { 0.0.0.0/0: internet-gateway, 169.254.0.0/16: internet-gateway }
      private: { 0.0.0.0/0: nat-mistaken, 198.51.100.0/24: nat-exit, 10.1.0.0/16: nat-hiding }
      exit: { 10.1.0.0/16: pcx }
      lost: { 0.0.0.0/0: nat-lost }
    natGateways:
      nat-hiding: { subnet: exit, connectivityType: private }
      nat-mistaken: { subnet: public, connectivityType: private }
      nat-exit: { subnet: exit }
      nat-lost: { subnet: lost }
    instances:
      hidden: { subnet: private }
      lost-one: { subnet: lost }
      web: { subnet: public, publicIp: true }
  partner:
    cidrs: [10.1.0.0/16]
    subnets:
      theirs: { cidr: 10.1.1.0/24, availabilityZone: us-west-2a }
    routeTables:
      main: { 10.0.3.0/24: pcx }
    instances:
      shop: { subnet: theirs }
peerings:
  pcx: { requester: main, accepter: partner }
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Bed]:
    """Four NAT gateways, of which one does what it is for."""
    with bring_up(parse(LAB, "nat-gateways.yaml")) as up:
        yield up


def dies(lab: Bed, source: str, destination: str) -> tuple[str, str]:
    """Where and why a packet ends, as predicted; a real one is not answered either."""
    way = lab.path(source, destination)
    assert lab.briefly.ping(source, destination).received == 0
    return way.hops[-1].ns, way.code


def test_a_private_nat_gateway_hides_who_calls_a_peer(lab: Bed) -> None:
    """So two networks meet whose other ranges overlap (NAT gateway use cases)."""
    answer = lab.http("hidden", "shop").answer

    assert answer, "delivered"
    assert answer["client"].split(":")[0] == str(lab.address("nat-hiding"))
    assert dies(lab, "shop", "hidden") == ("vpc-partner", "NO_ROUTE_TO_DESTINATION")


def test_a_private_nat_gateway_has_no_way_to_the_internet(lab: Bed) -> None:
    """Its address has no public one, and the internet gateway drops what it sends."""
    [eni] = [one for one in lab.allocations.enis if one.instance == "nat-mistaken"]

    assert eni.public_ip is None
    assert dies(lab, "hidden", "203.0.113.10") == (
        "igw-main",
        "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS",
    )
    assert lab.ping("web", "203.0.113.10").received == 1, "control: the subnet is public"


def test_a_public_nat_gateway_in_a_private_subnet_reaches_nothing(lab: Bed) -> None:
    """AWS takes it all the same: Troubleshoot NAT gateways, "Private subnet cannot access"."""
    assert dies(lab, "hidden", "198.51.100.10") == ("vpc-main", "NO_ROUTE_TO_DESTINATION")
    assert dies(lab, "lost-one", "203.0.113.10") == ("nat-lost", "X_MARTIAN_SOURCE")


@pytest.mark.parametrize("address", ["169.254.168.1", "169.254.170.2", "169.254.171.254"])
def test_no_route_leads_among_amazons_services(lab: Bed, address: str) -> None:
    """A wider route is accepted, and what is for 169.254.168.0/22 is never forwarded."""
    assert dies(lab, "web", address) == ("vpc-main", "X_NO_MAPPING")
    assert lab.path("web", "169.254.172.1").hops[-1].ns == "internet", "control: just outside"
