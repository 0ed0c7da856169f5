"""MTU steps: 9001 in a VPC and to a peer, 8500 between regions, 1500 at gateways, less by VPN."""

import socket
from collections.abc import Iterator

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.load import parse
from testbed.probes.sockets import inside

pytestmark = pytest.mark.kernel

HEADERS = 28  # bytes: IPv4's and ICMP's
LAB = """
testbed: v1
name: mtu
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    virtualPrivateGateway: { propagateTo: [main] }
    subnets:
      a: { cidr: 10.0.1.0/24, availabilityZone: us-west-2a, mapPublicIpOnLaunch: true }
      b: { cidr: 10.0.2.0/24, availabilityZone: us-west-2b }
    routeTables:
      main: { 0.0.0.0/0: internet-gateway, 10.1.0.0/16: near, 10.2.0.0/16: far }
    instances:
      app: { subnet: a }
      beside: { subnet: b }
  near:
    cidrs: [10.1.0.0/16]
    subnets:
      near-a: { cidr: 10.1.1.0/24, availabilityZone: us-west-2a }
    routeTables:
      main: { 10.0.0.0/16: near }
    instances:
      same-region: { subnet: near-a }
  far:
    cidrs: [10.2.0.0/16]
    subnets:
      far-a: { cidr: 10.2.1.0/24, availabilityZone: eu-west-1a }
    routeTables:
      main: { 10.0.0.0/16: far }
    instances:
      other-region: { subnet: far-a }
peerings:
  near: { requester: main, accepter: near }
  far: { requester: main, accepter: far }
onPremises:
  branch:
    cidrs: [192.168.1.0/24]
    hosts: { by-vpn: 192.168.1.10 }
    connections: { vpn: { gateway: main } }
    defaultRoute: vpn
  centre:
    cidrs: [192.168.2.0/24]
    hosts: { by-dx: 192.168.2.10 }
    connections: { dx: { gateway: main, type: direct-connect } }
"""
# The largest packet to each, and who tells the sender of a larger one (nobody: silence).
STEPS = {
    "beside": (9001, ""),
    "same-region": (9001, ""),
    "other-region": (8500, "10.0.1.1"),
    "by-dx": (1500, ""),
    "by-vpn": (1446, ""),
    "203.0.113.10": (1500, "10.0.1.1"),
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Bed]:
    """Three VPCs and two sites."""
    with bring_up(parse(LAB, "mtu.yaml")) as up:
        yield up


def ping(lab: Bed, to: str, size: int) -> str:
    """What the real ping prints for one packet of that many bytes that may not be fragmented."""
    address = str(lab.address(to))
    argv = ("ping", "-M", "do", "-c1", "-W1", "-s", str(size - HEADERS), address)
    return lab.run("app", *argv).stdout


@pytest.mark.parametrize("to", STEPS)
def test_the_largest_packet_passes_and_a_larger_one_does_not(lab: Bed, to: str) -> None:
    """AWS: EC2 User Guide, "Network MTU"; Peering Guide; Site-to-Site VPN best practices."""
    largest, teller = STEPS[to]

    assert "1 received" in ping(lab, to, largest)
    if largest == 9001:  # the instance's own interface has no more
        assert "1 received" not in ping(lab, to, largest + 1)
        return
    refused = ping(lab, to, largest + 1)
    assert "0 received" in refused
    if teller:
        assert f"From {teller}" in refused
        assert f"mtu = {largest}" in refused
    else:
        assert "From" not in refused


@pytest.mark.parametrize(("to", "most"), [("by-vpn", 1406), ("by-dx", 1460)])
def test_tcp_fits_a_vpn_because_the_customer_gateway_says_so(lab: Bed, to: str, most: int) -> None:
    """The virtual private gateway tells nobody what is too big, so TCP's segments must fit."""
    with inside(lab.store, "app"), socket.create_connection((str(lab.address(to)), 80), 2) as tcp:
        timestamps = 12  # bytes of each segment (RFC 7323)
        assert tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) == most - timestamps


@pytest.mark.parametrize("beyond", ["10.1.1.4", "203.0.113.10"])
def test_a_site_gets_no_further_than_the_vpc(lab: Bed, beyond: str) -> None:
    """Edge-to-edge routing: its own default route leads to the VPC, whose gateways are not its."""
    path = lab.path("by-vpn", beyond)

    assert path.code == "X_EDGE_TO_EDGE"
    assert path.hops[-1].ns == "vgw-main"
    assert lab.briefly.ping("by-vpn", beyond).received == 0
    assert lab.ping("by-vpn", "app").received == 1, "control"


def test_sites_with_bgp_reach_each_other_through_the_gateway(lab: Bed) -> None:
    """AWS VPN CloudHub; the other one needs a way back, which here is its route to AWS."""
    assert lab.path("by-vpn", "by-dx").delivered
