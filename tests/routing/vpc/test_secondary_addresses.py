"""Secondary private addresses of bare instances: asked for by name, answered on, given back."""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from testbed.allocations import allocate
from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.errors import AwsError
from testbed.lab import Lab
from testbed.load import parse

LAB = """
testbed: v1
name: secondary
vpcs:
  main:
    cidrs: [10.0.0.0/16]
    subnets:
      a: { cidr: 10.0.1.0/24, availabilityZone: us-west-2a }
      b: { cidr: 10.0.2.0/24, availabilityZone: us-west-2b }
    instances:
      first: { subnet: a }
      many: { subnet: a, secondaryPrivateIps: [10.0.1.4] }
      near: { subnet: a, instanceType: t3.small }
      far: { subnet: b }
"""


def with_addresses(lab: Lab, **wanted: str) -> Lab:
    """The lab, its instances with these secondary addresses and no others."""
    [vpc] = lab.vpcs
    instances = tuple(
        replace(
            one, secondary_private_ips=tuple(map(IPv4Address, wanted.get(one.name, "").split()))
        )
        for one in vpc.instances
    )
    return replace(lab, vpcs=(replace(vpc, instances=instances),))


@pytest.fixture(scope="module")
def lab() -> Iterator[Bed]:
    """Four instances, one of which has a second address."""
    with bring_up(parse(LAB, "secondary.yaml")) as up:
        yield up


@pytest.mark.kernel
@pytest.mark.parametrize("caller", ["near", "far"])
def test_an_instance_answers_on_its_secondary_addresses(lab: Bed, caller: str) -> None:
    """From its subnet and from another: the VPC brings both to the one ENI."""
    assert lab.path(caller, "10.0.1.4").delivered
    answer = lab.http(caller, "10.0.1.4").answer

    assert answer, "delivered"
    assert (answer["pod"], answer["local"]) == ("many", "10.0.1.4:80")
    assert not lab.drift()


@pytest.mark.kernel
def test_one_that_is_given_back_is_nobodys_until_another_has_it(lab: Bed) -> None:
    before = {one: lab.address(one) for one in ("first", "many", "near", "far")}

    lab.up(with_addresses(lab.lab))
    assert lab.path("far", "10.0.1.4").code == "X_NO_MAPPING"
    assert lab.briefly.ping("far", "10.0.1.4").received == 0

    lab.up(with_addresses(lab.lab, near="10.0.1.4"))
    answer = lab.http("far", "10.0.1.4").answer
    assert answer
    assert answer["pod"] == "near"
    assert {one: lab.address(one) for one in before} == before, "primary ones stay"
    assert not lab.drift()


def test_nobody_is_given_anothers_secondary_address() -> None:
    """`first` is launched before, and 10.0.1.4 is the lowest free address."""
    given = {eni.instance: eni for eni in allocate(parse(LAB, "secondary.yaml")).enis}

    assert given["many"].secondary == (IPv4Address("10.0.1.4"),)
    assert IPv4Address("10.0.1.4") not in {eni.primary for eni in given.values()}


def test_one_moves_from_instance_to_instance() -> None:
    """Taken from all who have too many before any is given."""
    lab = parse(LAB, "secondary.yaml")
    first = with_addresses(lab, many="10.0.1.4", near="10.0.1.5 10.0.1.6")
    swapped = with_addresses(lab, many="10.0.1.6", near="10.0.1.4")

    given = {one.instance: one for one in allocate(swapped, allocate(first)).enis}

    assert given["many"].secondary == (IPv4Address("10.0.1.6"),)
    assert given["near"].secondary == (IPv4Address("10.0.1.4"),)


@pytest.mark.parametrize(
    ("addresses", "code", "words"),
    [
        (
            "10.0.1.3",
            "InvalidParameterValue",
            "many.secondaryPrivateIps[0]: Address 10.0.1.3 is in",
        ),
        ("10.0.2.9", "InvalidParameterValue", "does not fall within the subnet's address range"),
        ("10.0.1.4, 10.0.1.4", "InvalidParameterValue", "[10.0.1.4] assigned, but move is not"),
        ("10.0.1.4, 10.0.1.5", "PrivateIpAddressLimitExceeded", "t3.micro has at most 2"),
    ],
)
def test_what_ec2_refuses_of_them(addresses: str, code: str, words: str) -> None:
    with pytest.raises(AwsError) as refused:
        parse(LAB.replace("[10.0.1.4]", f"[{addresses}]"), "secondary.yaml")

    assert refused.value.code == code
    assert words in str(refused.value)
    assert refused.value.where.line == 12
