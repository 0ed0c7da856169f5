"""What AWS does not say is a setting: its default, and the other value."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from testbed.bed import Bed
from testbed.lab import Lab
from testbed.load import parse
from testbed.net import names
from testbed.vpc.fabric.frames import GATEWAY_MAC
from testbed.vpc.naming import internet_gateway
from tests.routing.vpc.frames import Frame, ears, heard_as, send

pytestmark = pytest.mark.kernel

LAB = """
testbed: v1
name: settings
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    {vpc}
    virtualPrivateGateway: {{ propagateTo: [private] {vgw} }}
    subnets:
      public: {{ cidr: 10.0.1.0/24, availabilityZone: us-west-2a, routeTable: public }}
      private: {{ cidr: 10.0.2.0/24, availabilityZone: us-west-2a, routeTable: private }}
      closed: {{ cidr: 10.0.3.0/24, availabilityZone: us-west-2a, networkAcl: closed }}
    routeTables:
      public: {{ 0.0.0.0/0: internet-gateway, 100.96.1.0/24: node }}
      private: {{ 0.0.0.0/0: nat-a, 10.8.0.0/16: hub }}
    networkAcls: {{ closed: {{ ingress: [], egress: [] }} }}
    natGateways: {{ nat-a: {{ subnet: public {nat} }} }}
    instances:
      node: {{ subnet: private, sourceDestCheck: false }}
      one: {{ subnet: closed }}
      two: {{ subnet: closed }}
  other:
    cidrs: [10.8.0.0/16]
    subnets: {{ other-a: {{ cidr: 10.8.1.0/24, availabilityZone: us-west-2a }} }}
    routeTables: {{ main: {{ 10.0.0.0/16: hub }} }}
    instances: {{ far: {{ subnet: other-a }} }}
transitGateways:
  hub:
    {tgw}
    attachments:
      main: {{ vpc: main, subnets: [private] }}
      other: {{ vpc: other, subnets: [other-a] }}
onPremises:
  office:
    cidrs: [192.168.0.0/16]
    hosts: {{ desk: 192.168.1.10 }}
    connections: {{ dx: {{ gateway: main, type: direct-connect }} }}
"""
PARTS = ("vpc", "vgw", "nat", "tgw")
OTHERWISE = {
    "vpc": "aclsMeetHairpins: false",
    "vgw": ", decrementsTtl: false",
    "nat": ", servesEverySource: true",
    "tgw": "decrementsTtl: true",
}
POD, HOST = "100.96.1.2", "203.0.113.10"


def test_each_has_its_default_and_another_value(beds: Callable[[Lab], Bed]) -> None:
    bed = beds(parse(LAB.format_map(dict.fromkeys(PARTS, "")), "settings.yaml"))
    assert told(bed) == {"hairpin": False, "office": 62, "kubenet": False, "transit": 64}

    bed.up(parse(LAB.format_map(OTHERWISE), "settings.yaml"))
    assert not bed.drift()
    assert told(bed) == {"hairpin": True, "office": 63, "kubenet": True, "transit": 63}


def told(bed: Bed) -> dict[str, object]:
    """Whether a packet arrives, or with which TTL."""
    one, node = frame(bed, "one", str(bed.address("two"))), frame(bed, "node", HOST)
    beside = replace(one, destination_mac=mac(bed, "two"))
    inside = frame(bed, "node", str(bed.address("far")))
    to_desk = replace(inside, destination="192.168.1.10")
    outer = names.device(internet_gateway("main"))
    own = replace(node, content=datagram(b"control!"), protocol=17)
    return {
        "hairpin": bool(heard(bed, "one", one, "two", beside)),
        "office": heard(bed, "node", to_desk, "desk", to_desk)[0].ttl,
        "kubenet": bool(
            heard(
                bed,
                "node",
                replace(node, source=POD, protocol=17, content=datagram(b"asked---")),
                "internet",
                own,
                dev=outer,
            )
        ),
        "transit": heard(bed, "node", inside, "far", inside)[0].ttl,
    }


def datagram(content: bytes) -> bytes:
    """A UDP datagram to port 9, without a checksum."""
    return b"\x9c\x40\x00\x09\x00\x10\x00\x00" + content


def mac(bed: Bed, place: str) -> str:
    """The MAC of an instance's ENI."""
    return next(eni.mac for eni in bed.allocations.enis if eni.instance == place)


def frame(bed: Bed, source: str, to: str) -> Frame:
    """By way of the router."""
    return Frame(mac(bed, source), GATEWAY_MAC, str(bed.address(source)), to, b"asked---")


def heard(
    bed: Bed, source: str, asked: Frame, at: str, last: Frame, dev: str = "eth0"
) -> list[Frame]:
    """What came of a frame, when one behind it is there."""
    control = replace(last, content=last.content.replace(b"asked---", b"control!"))
    with ears(bed, at, dev=dev) as hear:
        send(bed, source, asked.packed())
        send(bed, source, control.packed())
        wires = hear(at, lambda wire: wire.endswith(b"control!"))
    return [one for one in map(heard_as, wires) if one.content.endswith(b"asked---")]
