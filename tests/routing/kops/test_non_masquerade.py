"""nonMasqueradeCidr: beyond it pods appear as their node; a peer inside it cannot answer them."""

from collections.abc import Iterator

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.load import parse
from tests.routing.cni.breaking import dies, works
from tests.routing.cni.conftest import Explain
from tests.routing.cni.conftest import explain as explain
from tests.routing.cni.conftest import observer as observer

pytestmark = pytest.mark.kernel

LAB = """
testbed: v1
name: peers
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets:
      a: { cidr: 10.0.1.0/24, availabilityZone: us-west-2a }
    routeTables:
      main: { 10.1.0.0/16: outside, 100.127.0.0/16: inside }
  outside:
    cidrs: [10.1.0.0/16]
    subnets:
      b: { cidr: 10.1.1.0/24, availabilityZone: us-west-2a }
    routeTables:
      main: { 10.0.0.0/16: outside }
    instances:
      known: { subnet: b }
  inside:
    cidrs: [100.127.0.0/16] # of kops' default, 100.64.0.0/10
    subnets:
      c: { cidr: 100.127.1.0/24, availabilityZone: us-west-2a }
    routeTables:
      main: { 10.0.0.0/16: inside }
    instances:
      taken: { subnet: c }
peerings:
  outside: { requester: main, accepter: outside }
  inside: { requester: main, accepter: inside }
clusters:
  kops:
    kind: kops
    vpc: main
    podCidr: 100.96.0.0/12
    nodes:
      node: { subnet: a, instanceType: t3.medium }
    pods:
      client: { node: node }
"""


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    with bring_up(parse(LAB, "peers.yaml")) as up:
        yield up


def test_a_peer_sees_the_node_and_one_inside_the_range_cannot_answer_the_pod(
    bed: Bed, explain: Explain
) -> None:
    """kops: networking.  Untranslated it gets there, from an address that no VPC has."""
    to_known, to_taken = explain("client", "known"), explain("client", "taken")

    assert works(to_known)
    assert to_known.visit("known").arrived.source == bed.address("node")
    assert to_taken.observed.there.end.delivered
    assert dies(to_taken, "vpc-inside", "NO_ROUTE_TO_DESTINATION")
    assert works(explain("node", "taken")), "control: the node's own address is the VPC's"
