"""Transit gateways: what is refused, and which routes their tables have."""

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from testbed.allocations import allocate
from testbed.errors import DescriptionError
from testbed.lab import Lab
from testbed.load import parse
from testbed.net.facts import Route
from testbed.plan import plan

APPS = "apps: { vpc: apps, subnets: [apps-a], routeTable: default, propagateTo: [default] }"
EDGE = "edge: { vpc: edge, subnets: [attach-a] }"


def lab(topologies: Path, *changes: tuple[str, str]) -> Lab:
    """`topologies/transit.yaml` with some texts replaced."""
    text = (topologies / "transit.yaml").read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return parse(text, "transit.yaml")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((EDGE, EDGE.replace("vpc: edge", "vpc: egde")), "(InvalidVpcID.NotFound)"),
        ((EDGE, EDGE.replace("attach-a", "attach-b")), "(InvalidSubnetID.NotFound)"),
        ((EDGE, EDGE.replace("[attach-a]", "[]")), "at least one subnet"),
        ((EDGE, EDGE.replace("[attach-a]", "[attach-a, public-a]")), "one subnet of each zone"),
        ((APPS, f"{APPS}\n      again: {{ vpc: apps, subnets: [apps-a] }}"), "attached twice"),
        (
            ("0.0.0.0/0: edge", "0.0.0.0/0: egde"),
            'there is no attachment "egde"; did you mean "edge"?'
            " (InvalidTransitGatewayAttachmentID.NotFound)",
        ),
        ((f"      {APPS}\n", ""), "(InvalidTransitGatewayID.NotFound)"),
        (("vpn: { gateway: hub }", "vpn: { gateway: hubb }"), "VPC or transit gateway"),
        (
            (
                "vpn: { gateway: hub }",
                "dx: { gateway: hub, type: direct-connect, mtu: 9001 }",
            ),
            "an MTU of 1500 or 8500, not 9001",
        ),
    ],
)
def test_a_mistake_is_told(topologies: Path, change: tuple[str, str], words: str) -> None:
    with pytest.raises(DescriptionError) as refused:
        lab(topologies, change)

    assert words in str(refused.value)


def table(of: Lab, number: int = 1) -> dict[str, list[str]]:
    """A table of the transit gateway: the links to each range, the preferred first."""
    found: dict[str, list[tuple[int, str]]] = {}
    for fact in plan(of, allocate(of)):
        if isinstance(fact, Route) and (fact.ns, fact.table) == ("tgw-hub", number):
            found.setdefault(str(fact.dst), []).append((fact.metric, fact.dev or fact.kind))
    return {to: [dev for _, dev in sorted(routes)] for to, routes in found.items()}


def test_a_table_has_static_and_propagated_routes(topologies: Path) -> None:
    assert table(lab(topologies)) == {
        "0.0.0.0/0": ["edge", "blackhole"],
        "10.0.0.0/16": ["edge"],
        "10.1.0.0/16": ["apps"],
        "192.168.0.0/16": ["office-vpn"],
    }


def test_static_comes_before_propagated_and_a_vpc_before_a_vpn(topologies: Path) -> None:
    """Transit Gateway Guide, "Route evaluation order"."""
    changed = lab(
        topologies,
        ("0.0.0.0/0: edge", "192.168.0.0/16: blackhole"),
        ("vpn: { gateway: hub }", "vpn: { gateway: hub, routes: [192.168.0.0/16, 10.1.0.0/16] }"),
    )

    assert table(changed)["192.168.0.0/16"] == ["blackhole", "office-vpn"]
    assert table(changed)["10.1.0.0/16"] == ["apps", "office-vpn"]


def test_who_propagates_nowhere_is_in_no_table(topologies: Path) -> None:
    changed = lab(topologies, ("propagateTo: [default]", "propagateTo: []"))

    assert "10.1.0.0/16" not in table(changed)


def test_a_site_is_told_of_what_the_gateway_reaches(topologies: Path) -> None:
    of = lab(topologies)

    office = {f.dst for f in plan(of, allocate(of)) if isinstance(f, Route) and f.ns == "office"}
    assert {IPv4Network("10.0.0.0/16"), IPv4Network("10.1.0.0/16")} <= office
