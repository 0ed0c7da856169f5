"""A transit gateway's interfaces in a VPC: their addresses, and the ACLs of their subnets.

Transit Gateway Guide, "Network ACLs for transit gateways".
"""

from collections.abc import Callable

import pytest

from testbed.allocations import allocate
from testbed.bed import Bed
from testbed.errors import AwsError
from testbed.lab import Lab
from testbed.load import parse

LAB = """
testbed: v1
name: interfaces
vpcs:
  apps:
    cidrs: [10.1.0.0/16]
    subnets:
      attach: {{ cidr: 10.1.0.0/28, availabilityZone: us-west-2a, networkAcl: attach }}
      inner: {{ cidr: 10.1.1.0/24, availabilityZone: us-west-2a, networkAcl: inner }}
    routeTables: {{ main: {{ 10.2.0.0/16: hub }} }}
    networkAcls:
      attach: {{ ingress: [{attach_in}], egress: [{attach_out}] }}
      inner: {{ ingress: [{inner_in}], egress: [{inner_out}] }}
    instances: {{ inside: {{ subnet: inner }}, beside: {{ subnet: attach }} }}
  far:
    cidrs: [10.2.0.0/16]
    subnets: {{ far-a: {{ cidr: 10.2.1.0/24, availabilityZone: us-west-2a }} }}
    routeTables: {{ main: {{ 10.1.0.0/16: hub }} }}
    instances: {{ outside: {{ subnet: far-a }} }}
transitGateways:
  hub:
    attachments:
      apps: {{ vpc: apps, subnets: [attach] }}
      far: {{ vpc: far, subnets: [far-a] }}
"""
ALLOW = "{ ruleNumber: 100, cidr: 0.0.0.0/0, action: allow }"
LISTS = ("attach_in", "attach_out", "inner_in", "inner_out")


def described(closed: str = "") -> Lab:
    """The lab with one list that denies everything, all others open."""
    lists = {name: "" if name == closed else ALLOW for name in LISTS}
    return parse(LAB.format_map(lists), "interfaces.yaml")


@pytest.mark.kernel
def test_the_attachments_subnet_is_asked_in_its_own_way(beds: Callable[[Lab], Bed]) -> None:
    """One way only: what goes to the gateway enters that subnet, what comes from it leaves it.

    An echo goes both ways, so each list that is asked at all stops it in one of them; `there` is
    where the request dies, `back` the reply.
    """
    bed = beds(described())
    assert bed.ping("inside", "outside").received == 1
    assert bed.ping("beside", "outside").received == 1

    for closed, inside, beside in (
        ("attach_in", "there", "there"),
        ("attach_out", "back", "there"),
        ("inner_in", "back", ""),
        ("inner_out", "there", ""),
    ):
        bed.up(described(closed))
        for source, dies in (("inside", inside), ("beside", beside)):
            there = bed.path(source, "outside")
            assert there.delivered == (dies != "there"), (closed, source)
            assert there.code == ("SUBNET_ACL_RESTRICTION" if dies == "there" else "")
            asking = bed.briefly if dies else bed
            answered = asking.ping(source, "outside").received
            assert answered == int(not dies), (closed, source)


@pytest.mark.kernel
def test_into_its_own_subnet_no_list_is_asked(beds: Callable[[Lab], Bed]) -> None:
    """To an instance beside the gateway's interface none; control: to one in another subnet."""
    bed = beds(described("attach_out"))

    assert bed.path("outside", "beside").delivered
    assert bed.path("outside", "inside").code == "SUBNET_ACL_RESTRICTION"


@pytest.mark.kernel
def test_its_address_is_taken_and_answers_nobody(beds: Callable[[Lab], Bed]) -> None:
    bed = beds(described())
    [eni] = [one for one in bed.allocations.enis if one.instance == "tgw-hub.apps.attach"]
    assert str(eni.primary) == "10.1.0.5", "beside has the first"

    assert bed.briefly.ping("beside", str(eni.primary)).received == 0
    assert bed.ping("inside", "beside").received == 1, "control"
    assert not bed.drift()


def test_a_full_subnet_takes_no_attachment() -> None:
    """AWS creates the interface when the VPC is attached."""
    instances = ", ".join(f"i-{n}: {{ subnet: attach }}" for n in range(11))
    text = LAB.format_map(dict.fromkeys(LISTS, "")).replace(
        "instances: { inside: { subnet: inner }, beside: { subnet: attach } }",
        f"instances: {{ {instances} }}",
    )

    with pytest.raises(AwsError, match="InsufficientFreeAddressesInSubnet"):
        allocate(parse(text, "full.yaml"))
