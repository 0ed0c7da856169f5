"""What AWS would refuse of the networks around a VPC is refused with its code and the line."""

from collections.abc import Callable
from typing import Any

import pytest

from testbed.errors import DescriptionError
from testbed.lab import Lab
from testbed.lab.checks import warnings

PEERING = "pcx: { requester: main, accepter: shared }"
VPN = "vpn: { gateway: main }"
DX = "dx: { gateway: main, type: direct-connect }"
HOST = "desk: 192.168.1.10"

REFUSED: dict[str, tuple[Any, ...]] = {
    "overlapping ranges": (
        ("cidrs: [10.8.0.0/16]", "cidrs: [10.8.0.0/16, 10.0.128.0/17]"),
        "around.yaml:22: peerings.pcx: Failed due to incorrect VPC-ID, Account ID, or overlapping"
        ' CIDR range: 10.0.0.0/16 of "main" and 10.0.128.0/17 of "shared" (failed)',
    ),
    "a VPC and itself": ((PEERING, PEERING.replace("shared", "main")), "(failed)"),
    "an unknown VPC": (
        (PEERING, PEERING.replace("shared", "shraed")),
        'accepter: there is no VPC "shraed"; did you mean "shared"? (InvalidVpcID.NotFound)',
    ),
    "a second one of a pair": (
        (PEERING, f"{PEERING}\n  again: {{ requester: shared, accepter: main }}"),
        "(VpcPeeringConnectionAlreadyExists)",
    ),
    "names of a VPC that has none": (
        (
            "  pcx: { requester: main, accepter: shared }",
            "  pcx:\n    requester: main\n    accepter: shared\n"
            "    accepterPeeringConnectionOptions: { allowDnsResolutionFromRemoteVpc: true }",
        ),
        (
            "    cidrs: [10.8.0.0/16]\n",
            "    cidrs: [10.8.0.0/16]\n    enableDnsHostnames: false\n",
        ),
        '"shared" lacks one (InvalidVpcPeeringConnectionState.DnsHostnamesDisabled)',
    ),
    "a group of no peer": (
        (
            "    cidrs: [10.8.0.0/16]\n",
            "    cidrs: [10.8.0.0/16]\n"
            "    securityGroups: { tools: { ingress: [{ group: main/web }] } }\n",
        ),
        'there is no security group "main/web"',
    ),
    "a peer's group in another region": (
        (
            "    cidrs: [10.8.0.0/16]\n",
            "    cidrs: [10.8.0.0/16]\n"
            "    securityGroups: { tools: { ingress: [{ group: main/default }] } }\n",
        ),
        ("    cidrs: [10.0.0.0/16]\n", "    cidrs: [10.0.0.0/16]\n    securityGroups: { web: }\n"),
        ("10.8.1.0/24, availabilityZone: us-west-2a", "10.8.1.0/24, availabilityZone: eu-west-1a"),
        "(InvalidGroup.NotFound)",
    ),
    "an unknown status": ((PEERING, PEERING.replace(" }", ", status: gone }")), "status"),
    "a route to another VPC's peering": (
        (
            "  shared:\n",
            "  third:\n    cidrs: [10.9.0.0/16]\n    routeTables:\n"
            "      main: { 10.8.0.0/16: pcx }\n  shared:\n",
        ),
        'route table "main" and network gateway "pcx" belong to different networks'
        " (InvalidParameterValue)",
    ),
    "a peering for part of local": (
        ("main: { 10.8.0.0/16: pcx }", "main: { 10.0.1.0/24: pcx }"),
        "This route can target only an interface",
    ),
    "a gateway that is not there": (
        ("    virtualPrivateGateway: { propagateTo: [main] }\n", ""),
        "(InvalidVpnGatewayID.NotFound)",
    ),
    "a route to a gateway that is not there": (
        ("main: { 10.0.0.0/16: pcx }", "main: { 192.168.0.0/16: virtual-private-gateway }"),
        "the VPC has no virtual private gateway",
    ),
    "propagation to an unknown table": (
        ("propagateTo: [main]", "propagateTo: [mian]"),
        "around.yaml:6: vpcs.main.virtualPrivateGateway.propagateTo[0]: there is no route table"
        ' "mian"; did you mean "main"? (InvalidRouteTableID.NotFound)',
    ),
    "a host outside its site": ((HOST, "desk: 10.9.1.10"), "10.9.1.10 is not inside 192.168.0.0"),
    "a host's name twice": ((HOST, "tools: 192.168.1.10"), 'the name "tools" is taken'),
    "a VPN that is too large": ((VPN, VPN.replace(" }", ", mtu: 1500 }")), "at most 1446 bytes"),
    "a Direct Connect between sizes": ((DX, DX.replace(" }", ", mtu: 8500 }")), "1500 or 9001"),
    "Direct Connect without BGP": (
        (DX, DX.replace(" }", ", routing: static }")),
        "Direct Connect has BGP only",
    ),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_mistake_is_told_with_its_place(around: Callable[..., Lab], mistake: str) -> None:
    *changes, words = REFUSED[mistake]

    with pytest.raises(DescriptionError) as refused:
        around(*changes)

    assert words in str(refused.value)


def test_a_default_route_names_a_connection(around: Callable[..., Lab]) -> None:
    with pytest.raises(DescriptionError, match=r'defaultRoute: there is no connection "dxx"'):
        around(("    connections:\n", "    defaultRoute: dxx\n    connections:\n"))


@pytest.mark.parametrize("status", ["failed", "deleted", "rejected", "expired"])
def test_a_peering_that_is_none_may_overlap(around: Callable[..., Lab], status: str) -> None:
    """AWS shows a failed one with that status; of the others the VPCs may have grown since."""
    lab = around(
        ("cidrs: [10.8.0.0/16]", "cidrs: [10.8.0.0/16, 10.0.128.0/17]"),
        (PEERING, PEERING.replace(" }", f", status: {status} }}")),
    )

    assert lab.peerings[0].status == status


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("main: { 10.0.0.0/16: pcx }", "main: {}"), 'no route table of VPC "shared" leads to it'),
        (("{ propagateTo: [main] }", "{}"), "no route table leads to it: sites are not answered"),
    ],
)
def test_a_way_without_a_way_back_is_warned_of(
    around: Callable[..., Lab], change: tuple[str, str], words: str
) -> None:
    """AWS takes it; what is missing is noticed when nothing answers."""
    assert list(warnings(around())) == []

    assert [problem.message for problem in warnings(around(change))] == [words]
