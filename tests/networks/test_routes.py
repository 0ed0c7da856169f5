"""Which routes a VPC's tables have because of the networks around it."""

from collections.abc import Callable
from ipaddress import IPv4Network

import pytest

from testbed.allocations import allocate
from testbed.lab import Lab
from testbed.net.facts import Route, Veth
from testbed.plan import plan, vpcs

OFFICE = IPv4Network("192.168.0.0/16")
VPN, DX = "vpn: { gateway: main }", "dx: { gateway: main, type: direct-connect }"
STATIC = VPN.replace(" }", ", routing: static }")


def routes(lab: Lab, ns: str, to: IPv4Network) -> list[Route]:
    """The routes of a namespace to a range, the preferred one first."""
    found = [f for f in plan(lab, allocate(lab)) if isinstance(f, Route) and f.ns == ns]
    return sorted((f for f in found if f.dst == to), key=lambda route: route.metric)


def test_an_announced_range_is_propagated(around: Callable[..., Lab]) -> None:
    lab = around()

    [table] = vpcs(lab, allocate(lab))["main"].route_tables
    [propagated] = [entry for entry in table.routes if entry.destination == OFFICE]
    assert propagated.target == "virtual-private-gateway"
    assert propagated.origin == "EnableVgwRoutePropagation"


def test_a_static_route_comes_before_a_propagated_one(around: Callable[..., Lab]) -> None:
    """Of equal prefixes; both are in the table, as the console shows them."""
    lab = around(("main: { 10.8.0.0/16: pcx }", "main: { 192.168.0.0/16: pcx }"))

    assert [route.dev for route in routes(lab, "vpc-main", OFFICE)] == ["pcx-pcx", "vgw"]


def test_a_static_blackhole_comes_before_a_propagated_route(around: Callable[..., Lab]) -> None:
    """A blackhole wins its prefix: packets do not fall to the next route."""
    lab = around(("main: { 10.8.0.0/16: pcx }", "main: { 192.168.0.0/16: blackhole }"))

    assert [route.kind for route in routes(lab, "vpc-main", OFFICE)] == ["blackhole", "unicast"]


@pytest.mark.parametrize(
    ("announced", "learned"),
    [
        ("10.0.9.0/24", False),  # more specific than local
        ("10.0.0.0/16", False),  # local itself
        ("10.0.0.0/8", True),  # wider: it never applies to addresses of the VPC
        ("0.0.0.0/0", True),
    ],
)
def test_local_is_preferred_to_what_is_propagated(
    around: Callable[..., Lab], announced: str, learned: bool
) -> None:
    """Even if the propagated route is more specific (Site-to-Site VPN User Guide)."""
    lab = around((VPN, VPN.replace(" }", f", routes: [{announced}] }}")))

    network = IPv4Network(announced)
    found = [route.dev for route in routes(lab, "vpc-main", network) if route.table < 1000]
    assert ("vgw" in found) == learned


@pytest.mark.parametrize(
    ("first", "second", "preferred"),
    [
        (VPN, DX, "office-dx"),
        (STATIC, DX, "office-dx"),
        (VPN, STATIC.replace("vpn:", "static:"), "office-static"),
        (VPN, VPN.replace("vpn:", "vpn2:"), "office-vpn"),
        (DX, VPN, "office-dx"),
    ],
)
def test_direct_connect_then_static_vpn_then_bgp(
    around: Callable[..., Lab], first: str, second: str, preferred: str
) -> None:
    """VPC User Guide, "How route priority works"; of two of a kind the first."""
    lab = around((VPN, first), (DX, second)) if first != DX else around((VPN, DX), (DX, VPN))

    assert routes(lab, "vgw-main", OFFICE)[0].dev == preferred


def test_the_longest_prefix_comes_before_the_kind_of_connection(
    around: Callable[..., Lab],
) -> None:
    lab = around((VPN, VPN.replace(" }", ", routes: [192.168.1.0/24] }")))

    [vpn] = routes(lab, "vgw-main", IPv4Network("192.168.1.0/24"))
    assert vpn.dev == "office-vpn"


def test_a_connection_that_is_down_is_not_there(around: Callable[..., Lab]) -> None:
    lab = around((DX, DX.replace(" }", ", up: false }")))

    assert [route.dev for route in routes(lab, "vgw-main", OFFICE)] == ["office-vpn"]
    assert [route.dev for route in routes(lab, "office", IPv4Network("10.0.0.0/16"))] == ["vpn"]


@pytest.mark.parametrize("status", ["deleted", "pending-acceptance", "rejected", "expired"])
def test_a_peering_that_is_not_active_leaves_blackholes(
    around: Callable[..., Lab], status: str
) -> None:
    pcx = "pcx: { requester: main, accepter: shared }"
    lab = around((pcx, pcx.replace(" }", f", status: {status} }}")))

    for ns, to in (("vpc-main", "10.8.0.0/16"), ("vpc-shared", "10.0.0.0/16")):
        [route] = routes(lab, ns, IPv4Network(to))
        assert (route.kind, route.why.endswith("which is gone")) == ("blackhole", True)


@pytest.mark.parametrize(("zone", "mtu"), [("us-west-2a", 9001), ("eu-west-1a", 8500)])
def test_packets_between_regions_are_smaller(
    around: Callable[..., Lab], zone: str, mtu: int
) -> None:
    """VPC Peering Guide: 9001 bytes within a Region, 8500 between two."""
    old = "shared-a: { cidr: 10.8.1.0/24, availabilityZone: us-west-2a }"
    lab = around((old, old.replace("us-west-2a", zone)))

    links = [f for f in plan(lab, allocate(lab)) if isinstance(f, Veth) and f.name == "pcx-pcx"]
    assert [link.mtu for link in links] == [mtu, mtu]
