"""The way of a frame through a VPC, step by step: what arrives, as what, and what dies in silence.

Each frame that must not arrive is followed by one that must: when that is there, the other would
have been.
"""

from dataclasses import replace
from typing import Any

import pytest

from testbed.allocations import allocate
from testbed.bed import Bed
from testbed.net.facts import NftElement
from testbed.vpc.fabric.frames import GATEWAY_MAC
from tests.routing.vpc.frames import (
    Frame,
    arp_reply,
    arp_request,
    ears,
    gratuitous_arp,
    heard_as,
    send,
)

pytestmark = pytest.mark.kernel

NOBODY, UNASSIGNED, NO_SUBNET = "10.0.1.99", "10.0.2.99", "10.0.77.1"
OUTSIDE = "172.31.0.1"  # a destination that no route table of the lab has
ROUTED, APPLIED = "172.20.0.1", "172.21.0.1"  # to `checked`, to `appliance`
STRANGE_MAC, BROADCAST, MULTICAST = "02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"
CONTROL = b"control"


def mac(bed: Bed, place: str) -> str:
    """The MAC of an instance's ENI."""
    return next(eni.mac for eni in bed.allocations.enis if eni.instance == place)


def ordinary(bed: Bed, source: str, to: str) -> Frame:
    """What a guest's kernel would send: to a neighbour's MAC in its subnet, else the gateway's."""
    own, other = str(bed.address(source)), str(bed.address(to))
    near = own.rpartition(".")[0] == other.rpartition(".")[0]
    return Frame(mac(bed, source), mac(bed, to) if near else GATEWAY_MAC, own, other)


def arrived(bed: Bed, source: str, frame: Frame, at: str) -> list[Frame]:
    """What came of a frame at an instance, when an ordinary one behind it has come there."""
    last = replace(ordinary(bed, source, at), content=CONTROL)
    with ears(bed, at) as hear:
        send(bed, source, replace(frame, content=b"asked!").packed())
        send(bed, source, last.packed())
        heard = [heard_as(wire) for wire in hear(at, lambda wire: wire.endswith(CONTROL))]
    return [one for one in heard if one.content == b"asked!"]


def test_a_routed_frame_has_the_gateways_mac_and_its_own_ttl(fabric: Bed) -> None:
    """Step 11: source MAC the gateway's, destination MAC the ENI's; no TTL is taken."""
    [frame] = arrived(fabric, "one", ordinary(fabric, "one", "three"), "three")

    assert (frame.source_mac, frame.destination_mac) == (GATEWAY_MAC, mac(fabric, "three"))
    assert frame.ttl == 64


def test_in_one_subnet_a_frame_has_its_senders_mac(fabric: Bed) -> None:
    [frame] = arrived(fabric, "one", ordinary(fabric, "one", "two"), "two")

    assert (frame.source_mac, frame.destination_mac) == (mac(fabric, "one"), mac(fabric, "two"))
    assert frame.ttl == 64


def test_a_ttl_of_one_crosses_to_another_subnet(fabric: Bed) -> None:
    """The router is no hop: a traceroute shows the destination first."""
    dying = replace(ordinary(fabric, "one", "three"), ttl=1)

    [frame] = arrived(fabric, "one", dying, "three")

    assert frame.ttl == 1


def test_through_the_gateways_mac_a_neighbour_is_reached_by_routing(fabric: Bed) -> None:
    """AWS says nothing of it: the route table then decides."""
    by_the_router = replace(ordinary(fabric, "one", "two"), destination_mac=GATEWAY_MAC)

    [frame] = arrived(fabric, "one", by_the_router, "two")

    assert frame.source_mac == GATEWAY_MAC


DYING: dict[str, tuple[str, dict[str, Any]]] = {
    "source check: an address that nobody has": ("one", {"source": NOBODY}),
    "source check: another instance's address": ("one", {"source": "10.0.1.20"}),
    "source check: an address outside the VPC": ("one", {"source": "203.0.113.9"}),
    "source MAC: not the ENI's": ("one", {"source_mac": STRANGE_MAC}),
    "source MAC: not the ENI's, with the check off": ("free", {"source_mac": STRANGE_MAC}),
    "mapping: a MAC that nobody has": ("one", {"destination_mac": STRANGE_MAC}),
    "mapping: broadcast": ("one", {"destination_mac": BROADCAST}),
    "mapping: multicast": ("one", {"destination_mac": MULTICAST}),
}


@pytest.mark.parametrize("near", ["two", "three"])
@pytest.mark.parametrize("what", DYING)
def test_a_frame_that_the_fabric_does_not_take_dies(fabric: Bed, what: str, near: str) -> None:
    source, changes = DYING[what]
    frame = ordinary(fabric, source, near)
    assert len(arrived(fabric, source, frame, near)) == 1, "control: as it is it arrives"

    assert arrived(fabric, source, replace(frame, **changes), near) == []


@pytest.mark.parametrize("near", ["two", "three"])
def test_with_the_check_off_an_eni_sends_any_address(fabric: Bed, near: str) -> None:
    frame = replace(ordinary(fabric, "free", near), source="203.0.113.9")

    assert [one.source for one in arrived(fabric, "free", frame, near)] == ["203.0.113.9"]


def test_a_stale_mac_leads_to_its_eni_and_dies_there(fabric: Bed) -> None:
    """The trap of addresses used again: two's address at the MAC of another ENI."""
    stale = replace(ordinary(fabric, "one", "two"), destination_mac=mac(fabric, "free"))
    checked = replace(ordinary(fabric, "free", "one"), destination="10.0.1.20")

    assert arrived(fabric, "one", stale, "two") == []
    assert [one.destination for one in arrived(fabric, "one", stale, "free")] == ["10.0.1.20"]
    assert arrived(fabric, "free", checked, "one") == [], "one's check is on"


@pytest.mark.parametrize(
    ("destination", "at", "arrives"),
    [
        (ROUTED, "checked", False),  # destination check
        (APPLIED, "appliance", True),  # its check is off
        ("172.20.9.1", "appliance", True),  # the longest prefix of two
        ("172.21.9.1", "appliance", False),  # the blackhole still wins its prefix
        (OUTSIDE, "appliance", False),  # no route
        (UNASSIGNED, "three", False),  # local, and no ENI has it
        (NO_SUBNET, "three", False),  # local, in no subnet
        ("10.0.2.255", "three", False),  # broadcast of a subnet
        ("224.0.0.1", "three", False),
        ("255.255.255.255", "three", False),
    ],
)
def test_the_route_table_and_the_destination_check_decide(
    fabric: Bed, destination: str, at: str, arrives: bool
) -> None:
    frame = replace(ordinary(fabric, "one", at), destination=destination)

    found = [one.destination for one in arrived(fabric, "one", frame, at)]

    assert found == ([destination] if arrives else [])


@pytest.mark.parametrize(
    "destination", [UNASSIGNED, NO_SUBNET, OUTSIDE, ROUTED, "172.21.9.1", "10.0.1.1", "10.0.2.1"]
)
def test_who_sends_what_dies_is_told_nothing(fabric: Bed, destination: str) -> None:
    """No ICMP of any kind; the control is an answer that comes after."""
    icmp, request = 1, b"\x08\x00\xf7\xfe\x00\x00\x00\x01"
    frame = replace(ordinary(fabric, "one", "three"), protocol=icmp, content=request)
    with ears(fabric, "one") as hear:
        send(fabric, "one", replace(frame, destination=destination).packed())
        send(fabric, "one", frame.packed())
        heard = hear("one", lambda wire: heard_as(wire).source == "10.0.2.10")

    packets = [one for one in map(heard_as, heard) if one.protocol == icmp]
    assert [one.source for one in packets] == ["10.0.2.10"]


@pytest.mark.parametrize("target", ["two", "free", "10.0.1.1", "169.254.169.253"])
@pytest.mark.parametrize("own", ["10.0.1.10", "10.0.2.99", "0.0.0.0"])
def test_arp_is_answered_with_the_owners_mac_and_asks_no_guest(
    fabric: Bed, own: str, target: str
) -> None:
    """Whatever address the asker gives: another of its own, or none yet (RFC 5227, a probe)."""
    asker = mac(fabric, "one"), own
    is_instance = target in ("two", "free")
    address = str(fabric.address(target)) if is_instance else target
    owner = mac(fabric, target) if is_instance else GATEWAY_MAC
    last = replace(ordinary(fabric, "one", "two"), content=CONTROL)
    with ears(fabric, "one", "two") as hear:
        send(fabric, "one", arp_request(*asker, address))
        answer = hear("one", lambda wire: wire[12:14] == b"\x08\x06")[-1]
        send(fabric, "one", last.packed())
        others = hear("two", lambda wire: wire.endswith(CONTROL))

    assert answer == arp_reply(owner, address, asker)
    assert [wire for wire in others if wire[12:14] == b"\x08\x06"] == []


@pytest.mark.parametrize("target", [NOBODY, "10.0.1.2", "10.0.2.10", "10.0.1.255"])
def test_arp_for_what_is_not_in_the_subnet_is_not_answered(fabric: Bed, target: str) -> None:
    asker = mac(fabric, "one"), "10.0.1.10"
    with ears(fabric, "one") as hear:
        send(fabric, "one", arp_request(*asker, target))
        send(fabric, "one", arp_request(*asker, "10.0.1.20"))
        heard = hear("one", lambda wire: wire[22:28].hex(":") == mac(fabric, "two"))

    assert len([wire for wire in heard if wire[12:14] == b"\x08\x06"]) == 1


@pytest.mark.parametrize(
    ("of", "element"), [("macs", "10.0.1.20"), ("subnets", '"one-e0" . 10.0.1.0/24')]
)
def test_without_its_entry_in_the_mapping_nobody_is_told_an_address_s_mac(
    fabric: Bed, of: str, element: str
) -> None:
    entry = fabric.fact(NftElement, ns="vpc-main", set=of, element=element)
    with fabric.without(entry):
        fabric.run("one", "ip", "neigh", "flush", "all")
        assert fabric.briefly.ping("one", "10.0.1.20").received == 0
        assert fabric.path("one", "10.0.1.20").code == "X_NO_NEIGHBOUR"

    assert fabric.ping("one", "10.0.1.20").received == 1


def test_gratuitous_arp_moves_no_address(fabric: Bed) -> None:
    """Only EC2's API does."""
    send(fabric, "free", gratuitous_arp(mac(fabric, "free"), "10.0.1.20"))

    assert len(arrived(fabric, "one", ordinary(fabric, "one", "two"), "two")) == 1
    routed = replace(ordinary(fabric, "three", "two"))
    assert len(arrived(fabric, "three", routed, "two")) == 1
    assert not fabric.drift()


def test_an_eni_that_is_gone_takes_its_addresses_and_routes_with_it(fabric: Bed) -> None:
    """Step 1, BAD_STATE: silence for its address, and its routes are blackholes that still win."""
    [vpc] = fabric.lab.vpcs
    whole = fabric.lab
    left = tuple(one for one in vpc.instances if one.name != "appliance")
    assert fabric.ping("one", "10.0.2.30").received == 1, "control: it is there"

    fabric.up(replace(whole, vpcs=(replace(vpc, instances=left),)))
    try:
        assert fabric.briefly.ping("one", "10.0.2.30").received == 0
        assert fabric.path("one", "10.0.2.30").code == "X_NO_MAPPING"
        assert fabric.path("one", "172.20.9.1").code == "BAD_STATE_ROUTE"
    finally:
        fabric.up(whole)
    assert fabric.ping("one", "10.0.2.30").received == 1


def test_a_stopped_instance_keeps_its_address_and_takes_no_packets(fabric: Bed) -> None:
    """Step 1, BAD_STATE: silence, no answer to ARP, its routes are blackholes; then it is back."""
    whole = fabric.lab
    [vpc] = whole.vpcs
    stopped = tuple(
        replace(one, state="stopped") if one.name in ("appliance", "two") else one
        for one in vpc.instances
    )

    fabric.up(replace(whole, vpcs=(replace(vpc, instances=stopped),)))
    try:
        assert fabric.path("one", "appliance").code == "BAD_STATE"
        assert fabric.path("one", "172.20.9.1").code == "BAD_STATE_ROUTE"
        for gone in ("appliance", "two"):
            assert fabric.briefly.ping("one", gone).received == 0
        assert "two" not in fabric.store.names()
        assert fabric.matrix().pairs == 4 * 3
        assert not fabric.drift()
    finally:
        fabric.up(whole)
    for back in ("appliance", "two"):
        assert fabric.ping("one", back).received == 1


def test_a_stopped_instance_gives_its_assigned_public_address_back(fabric: Bed) -> None:
    """And keeps the private one: nobody else is given it."""
    [vpc] = fabric.lab.vpcs
    [one, *others] = vpc.instances
    public = replace(one, public_ip=True, private_ip=None)
    running = replace(fabric.lab, vpcs=(replace(vpc, instances=(public, *others)),))
    asleep = replace(public, state="stopped")
    stopped = replace(fabric.lab, vpcs=(replace(vpc, instances=(asleep, *others)),))

    before = allocate(running)
    after = allocate(stopped, before)

    [was] = [eni for eni in before.enis if eni.instance == "one"]
    [now] = [eni for eni in after.enis if eni.instance == "one"]
    assert was.public_ip is not None
    assert (now.addresses, now.public_ip) == (was.addresses, None)
