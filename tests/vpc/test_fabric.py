"""What the router of a VPC knows of its ENIs, as facts."""

import re
from pathlib import Path

import pytest

from testbed.allocations import allocate
from testbed.load import load
from testbed.net.facts import Neighbour, NftElement, Route
from testbed.plan import plan
from testbed.vpc.fabric.frames import ANSWER, GATEWAY_MAC, MACS
from testbed.vpc.naming import ADDRESSES, bridge, gateway_address

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
NAMES = ("eks", "prefix-delegation", "nlb")


@pytest.mark.parametrize("name", NAMES)
def test_an_address_is_routed_by_way_of_its_eni_which_alone_is_a_neighbour(name: str) -> None:
    """The kernel has all namespaces' neighbours in one table, and each dump walks all of it."""
    lab = load(TOPOLOGIES / f"{name}.yaml")
    allocations = allocate(lab)
    state = plan(lab, allocations)
    [vpc] = lab.vpcs
    bridges = {subnet.name: bridge(subnet) for subnet in vpc.subnets}
    enis = [eni for eni in allocations.enis if eni.is_link]

    routes = {
        route.dst.network_address: (route.via, route.dev)
        for route in state
        if isinstance(route, Route) and route.table == ADDRESSES and route.dev in bridges.values()
    }
    neighbours = {
        (one.ip, one.dev, one.mac)
        for one in state
        if isinstance(one, Neighbour) and one.dev in bridges.values()
    }

    assert routes == {
        address: (None if address == eni.primary else eni.primary, bridges[eni.subnet])
        for eni in enis
        for address in eni.delivered
    }
    assert neighbours == {(eni.primary, bridges[eni.subnet], eni.mac) for eni in enis}
    assert len(routes) > len(neighbours), "premise: some have more than one address"


@pytest.mark.parametrize("name", NAMES)
def test_the_mapping_has_every_address_once(name: str) -> None:
    """And those that the router takes: its own in each subnet, and Amazon's services."""
    lab = load(TOPOLOGIES / f"{name}.yaml")
    allocations = allocate(lab)
    [vpc] = lab.vpcs
    elements = [
        one for one in plan(lab, allocations) if isinstance(one, NftElement) and one.set == MACS
    ]

    mapping = {one.element: one.value for one in elements}

    assert len(mapping) == len(elements)
    assert mapping.items() >= {
        (str(address), eni.mac)
        for eni in allocations.enis
        if eni.is_link
        for address in eni.delivered
    }
    assert all(mapping[str(gateway_address(one))] == GATEWAY_MAC for one in vpc.subnets)


def test_no_address_is_set_from_raw_bytes() -> None:
    """nft 1.1 (Debian 13) has `datatype mismatch: expected IPv4 address` for it.

    nft 1.0 takes it, and both take bytes for bytes.
    """
    rules = [str(rule) for rule in ANSWER]

    assert any("@nh" in rule for rule in rules), "premise"
    assert not any(re.search(r"\b(ip|ether|saddr|daddr) set @nh", rule) for rule in rules)
