"""The order of the filters: a packet that all of them refuse dies in the first one that does.

VPC User Guide: groups of the sender, ACL of its subnet, route table, ACL of the receiver's
subnet, groups of the receiver.  Here they are opened one by one; the packet gets one step further.
"""

from collections.abc import Callable

import pytest

from testbed.bed import Bed
from testbed.explain.reachability import question
from testbed.explain.walk.predict import predict
from testbed.lab import Lab
from testbed.load import parse
from testbed.probes.asked.path import CHOSEN_BY_KERNEL
from testbed.probes.asked.present import Present

pytestmark = pytest.mark.kernel

LAB = """
testbed: v1
name: order
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets:
      a: {{ cidr: 10.0.1.0/24, availabilityZone: us-west-2a, networkAcl: a, routeTable: {table} }}
      b: {{ cidr: 10.0.2.0/24, availabilityZone: us-west-2b, networkAcl: b }}
    routeTables:
      main: {{}}
      closed: {{ 10.0.2.0/24: blackhole }}
    securityGroups:
      near: {{ ingress: [], egress: [{sg_out}] }}
      far: {{ ingress: [{sg_in}], egress: [] }}
    networkAcls:
      a: {{ egress: [{acl_out}], ingress: [{reply_in}] }}
      b: {{ ingress: [{acl_in}], egress: [{reply_out}] }}
    instances:
      near: {{ subnet: a, securityGroups: [near] }}
      beside: {{ subnet: a, securityGroups: [near] }}
      far: {{ subnet: b, securityGroups: [far] }}
"""
ALLOW = "{ ruleNumber: 100, cidr: 0.0.0.0/0, action: allow }"
ANYONE = "{ cidr: 0.0.0.0/0, protocol: icmp }"
CLOSED = {
    "sg_out": "",
    "acl_out": "",
    "table": "closed",
    "acl_in": "",
    "sg_in": "",
    "reply_out": "",
    "reply_in": "",
}
# What is opened, and what then ends the packet or its reply.  The router looks its route up first:
# docs/vpc.md, "Where it differs".
STEPS: tuple[tuple[dict[str, str], str, str], ...] = (
    ({}, "BAD_STATE_ROUTE", "route table of a"),
    ({"table": "main"}, "SG_HAS_NO_RULES", "near"),
    ({"sg_out": ANYONE}, "SUBNET_ACL_RESTRICTION", "acl a, outbound"),
    ({"acl_out": ALLOW}, "SUBNET_ACL_RESTRICTION", "acl b, inbound"),
    ({"acl_in": ALLOW}, "SG_HAS_NO_RULES", "far"),
    ({"sg_in": ANYONE}, "SUBNET_ACL_RESTRICTION", "acl b, outbound: the reply"),
    ({"reply_out": ALLOW}, "SUBNET_ACL_RESTRICTION", "acl a, inbound: the reply"),
    ({"reply_in": ALLOW}, "", "delivered"),
)


def described(opened: dict[str, str]) -> Lab:
    """The lab with this opened, all else closed."""
    return parse(LAB.format_map({**CLOSED, **opened}), "order.yaml")


def test_a_packet_gets_one_step_further_with_each_that_is_opened(
    beds: Callable[[Lab], Bed],
) -> None:
    """Its reply meets the ACLs again, and no group: groups remember."""
    bed, opened = beds(described({})), dict[str, str]()
    assert bed.briefly.ping("near", "beside").received == 0, "groups count in a subnet too"

    for change, code, where in STEPS:
        opened |= change
        bed.up(described(opened))
        trip = round_trip(bed)
        assert [one for one in trip if one] == ([code] if code else []), where
        asking = bed.briefly if code else bed
        assert asking.ping("near", "far").received == int(not code), where
    assert bed.ping("beside", "far").received == 1, "control: the group is what counts"


def round_trip(bed: Bed) -> tuple[str, str]:
    """The codes of what ends a ping from near to far, there and back."""
    present = Present(bed.store, bed.state)
    [trip] = predict(present, "near", question("icmp", CHOSEN_BY_KERNEL, bed.address("far")))
    back = trip.back.end.code if trip.back else ""
    return trip.there.end.code, back
