"""What internet gateways and NAT gateways take, what they translate, and what dies there."""

import struct
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.load import parse
from testbed.net import names
from testbed.vpc.fabric.frames import GATEWAY_MAC
from testbed.vpc.fabric.internet_gateway import outer_device
from testbed.vpc.naming import INTERNET, internet_gateway
from tests.routing.vpc.frames import Frame, checksum, ears, heard_as, send

pytestmark = pytest.mark.kernel

LAB = """
testbed: v1
name: gateways
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets:
      public: { cidr: 10.0.1.0/24, availabilityZone: us-west-2a, routeTable: public }
      private: { cidr: 10.0.2.0/24, availabilityZone: us-west-2a, routeTable: private }
    routeTables:
      public: { 0.0.0.0/0: internet-gateway }
      private: { 0.0.0.0/0: nat-a }
    natGateways: { nat-a: { subnet: public } }
    instances:
      web: { subnet: public, publicIp: true }
      plain: { subnet: public }
      behind: { subnet: private }
      router: { subnet: private, sourceDestCheck: false }
"""
HOST, OTHER_HOST = "203.0.113.10", "198.51.100.10"
UDP, TCP, ICMP, GRE, ESP = 17, 6, 1, 47, 50
MORE_FRAGMENTS = 0x2000
ASKED, CONTROL = b"asked---", b"control!"


def datagram(content: bytes, length: int = 16) -> bytes:
    """A UDP datagram from port 40000 to port 9 without a checksum; length: what it says it has."""
    return struct.pack("!HHHH", 40000, 9, length, 0) + content


PLAIN = datagram(ASKED)


@pytest.fixture(scope="module")
def lab() -> Iterator[Bed]:
    """A public subnet with a NAT gateway, a private one behind it."""
    with bring_up(parse(LAB, "gateways.yaml")) as up:
        yield up


def public(lab: Bed, place: str) -> str:
    """The public address of a place."""
    [eni] = [eni for eni in lab.allocations.enis if eni.instance == place]
    return str(eni.public_ip)


def outwards(lab: Bed, place: str, protocol: int = UDP, content: bytes = PLAIN) -> Frame:
    """From an instance to a host of the internet."""
    [eni] = [eni for eni in lab.allocations.enis if eni.instance == place]
    own = str(eni.primary)
    return Frame(eni.mac, GATEWAY_MAC, own, HOST, content, protocol=protocol)


def left(lab: Bed, place: str, frame: Frame) -> list[Frame]:
    """What of a frame came out of the internet gateway, when one behind it has."""
    device = outer_device("main")
    with ears(lab, INTERNET, dev=device) as hear:
        send(lab, place, frame.packed())
        send(lab, place, outwards(lab, place, content=datagram(CONTROL)).packed())
        heard = hear(INTERNET, lambda wire: wire.endswith(CONTROL))[:-1]
    return [one for one in map(heard_as, heard) if one.destination == frame.destination]


def inwards(lab: Bed, source: str, destination: str) -> Frame:
    """From the internet, to the internet gateway's outer device."""
    near, far = outer_device("main"), internet_gateway("main")
    macs = names.mac(INTERNET, near), names.mac(far, "internet")
    return Frame(*macs, source, destination, PLAIN, protocol=UDP)


def entered(lab: Bed, frame: Frame, at: str) -> list[Frame]:
    """What of a frame came to an instance, when one behind it has."""
    with ears(lab, at) as hear:
        send(lab, INTERNET, frame.packed(), outer_device("main"))
        control = replace(inwards(lab, HOST, public(lab, "web")), content=datagram(CONTROL))
        send(lab, INTERNET, control.packed(), outer_device("main"))
        heard = hear(at, lambda wire: wire.endswith(CONTROL))[:-1]
    return [one for one in map(heard_as, heard) if one.protocol == UDP]


def test_the_internet_gateway_pairs_one_to_one_and_changes_nothing_else(lab: Bed) -> None:
    """No hop, no ports: the address alone."""
    [frame] = left(lab, "web", outwards(lab, "web"))
    assert (frame.source, frame.ttl, frame.content) == (public(lab, "web"), 64, PLAIN)

    [inside] = entered(lab, inwards(lab, OTHER_HOST, public(lab, "web")), "web")
    assert (inside.destination, inside.ttl) == (str(lab.address("web")), 64)
    assert inside.content == PLAIN


def test_what_conntrack_thinks_invalid_is_translated_too(lab: Bed) -> None:
    """The gateway has no memory: a datagram that lies about its length, an answer to nothing."""
    lying = datagram(ASKED, length=999)
    [frame] = left(lab, "web", outwards(lab, "web", content=lying))
    assert (frame.source, frame.content) == (public(lab, "web"), lying)

    [inside] = entered(lab, replace(inwards(lab, HOST, public(lab, "web")), content=lying), "web")
    assert inside.destination == str(lab.address("web"))


@pytest.mark.parametrize("protocol", [GRE, ESP])
def test_the_internet_gateway_takes_every_protocol(lab: Bed, protocol: int) -> None:
    assert len(left(lab, "web", outwards(lab, "web", protocol))) == 1


@pytest.mark.parametrize("destination", ["10.9.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1"])
def test_nothing_private_leaves_by_the_internet_gateway(lab: Bed, destination: str) -> None:
    assert left(lab, "web", replace(outwards(lab, "web"), destination=destination)) == []
    code = lab.path("web", destination).code
    assert code.startswith("IGW_DESTINATION_ADDRESS_NOT_IN_RFC")


@pytest.mark.parametrize(
    ("source", "to"),
    [
        ("10.9.0.1", "web"),
        ("172.16.0.1", "web"),
        ("192.168.0.1", "web"),
        ("100.64.0.1", "web"),
        (HOST, "nobody"),
    ],
)
def test_what_enters_has_a_public_source_and_a_paired_destination(
    lab: Bed, source: str, to: str
) -> None:
    destination = public(lab, to) if to == "web" else "192.0.2.250"

    assert entered(lab, inwards(lab, source, destination), "web") == []


def test_a_private_address_is_no_way_in(lab: Bed) -> None:
    """The gateway takes public addresses only, whoever knows the private one."""
    own = str(lab.address("web"))

    assert entered(lab, inwards(lab, HOST, own), "web") == []


def test_a_nat_gateway_gives_its_address_and_costs_one_ttl(lab: Bed) -> None:
    """It is a hop, unlike the router and the internet gateway (NAT gateway use cases)."""
    with ears(lab, INTERNET, dev=outer_device("main")) as hear:
        send(lab, "behind", outwards(lab, "behind", content=datagram(CONTROL)).packed())
        [*_, frame] = map(heard_as, hear(INTERNET, lambda wire: wire.endswith(CONTROL)))

    assert (frame.source, frame.destination, frame.ttl) == (public(lab, "nat-a"), HOST, 63)
    assert 1024 <= int.from_bytes(frame.content[:2]) <= 65535


def test_a_traceroute_shows_the_nat_gateways_private_address(lab: Bed) -> None:
    hop = str(lab.address("nat-a"))

    answer = lab.run("behind", "ping", "-c1", "-W1", "-t1", HOST)

    assert f"From {hop}" in answer.stdout


@pytest.mark.parametrize("protocol", [GRE, ESP])
def test_a_nat_gateway_takes_tcp_udp_and_icmp_only(lab: Bed, protocol: int) -> None:
    assert left(lab, "behind", outwards(lab, "behind", protocol)) == []


def test_a_nat_gateway_serves_no_address_of_another_network(lab: Bed) -> None:
    """NGW_REQUIRES_SOURCE_IN_VPC: an appliance with its check off sends for others."""
    foreign = replace(outwards(lab, "router"), source="172.16.0.9")

    assert left(lab, "router", foreign) == []
    assert len(left(lab, "router", replace(foreign, source="10.0.2.200"))) == 1


def test_a_nat_gateway_forwards_fragments_of_udp_only(lab: Bed) -> None:
    content = datagram(ASKED)
    for protocol, passes in ((UDP, 1), (TCP, 0), (ICMP, 0)):
        whole = outwards(lab, "behind", protocol, content)
        first = replace(whole, fragment=MORE_FRAGMENTS)
        rest = replace(whole, fragment=len(content) // 8, content=b"theend!!")
        with ears(lab, INTERNET, dev=outer_device("main")) as hear:
            for frame in (first, rest, outwards(lab, "behind", content=datagram(CONTROL))):
                send(lab, "behind", frame.packed())
            heard = hear(INTERNET, lambda wire: wire.endswith(CONTROL))[:-1]
        assert len([one for one in heard if one.endswith(b"theend!!")]) == passes


def test_what_a_nat_gateway_has_forgotten_is_reset(lab: Bed) -> None:
    """After 350 s without a packet the flow is gone: who goes on gets RST, and nobody else."""
    acknowledging, resetting = 0x10, 0x04
    segment = struct.pack("!HHIIBBHHH", 40000, 80, 7, 7, 0x50, acknowledging, 1000, 0, 0)
    with ears(lab, "behind") as hear:
        send(lab, "behind", outwards(lab, "behind", TCP, with_checksum(lab, segment)).packed())
        answer = heard_as(hear("behind", lambda wire: wire[23] == TCP)[-1])

    assert (answer.source, answer.content[13] & resetting) == (HOST, resetting)
    idle = lab.run("nat-a", "sysctl", "-n", "net.netfilter.nf_conntrack_tcp_timeout_established")
    assert idle.stdout == "350\n"
    assert lab.tcp("behind", HOST, 80).delivered, "control: one that begins is none of those"


def with_checksum(lab: Bed, segment: bytes) -> bytes:
    """A TCP segment of 20 bytes from `behind` to HOST, with its checksum."""
    ends = lab.address("behind").packed + IPv4Address(HOST).packed
    total = checksum(ends + struct.pack("!HH", TCP, len(segment)) + segment)
    return segment[:16] + struct.pack("!H", total) + segment[18:]


@pytest.mark.parametrize(
    ("size", "teller", "told"), [(8501, "nat-a", 8500), (8500, "10.0.1.1", 1500)]
)
def test_a_nat_gateway_takes_8500_bytes(lab: Bed, size: int, teller: str, told: int) -> None:
    """It tells of larger ones; the internet gateway's 1500 bytes are the next step."""
    answer = lab.run("behind", "ping", "-M", "do", "-c1", "-W1", "-s", str(size - 28), HOST)

    assert f"From {lab.address(teller)}" in answer.stdout
    assert f"mtu = {told}" in answer.stdout


def test_a_nat_gateway_lowers_tcps_segment_size(lab: Bed) -> None:
    """A client on jumbo frames is told of 8460 bytes, both ways; the internet's side has less."""
    with ears(lab, INTERNET, dev=outer_device("main")) as hear:
        assert lab.tcp("behind", OTHER_HOST, 80).delivered  # of this one no MTU is known yet
        [opening, *_] = hear(INTERNET, lambda wire: wire[23] == TCP)

    option = opening[34 + 20 : 34 + 24]
    assert option[:2] == b"\x02\x04", "maximum segment size"
    assert int.from_bytes(option[2:]) == 8460


def test_nothing_differs_from_the_plan(lab: Bed) -> None:
    assert not lab.drift()
