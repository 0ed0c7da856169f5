"""Elements of nft sets are known by a dump's bytes; what only nft can spell is left to it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.allocations import allocate
from testbed.kernel.namespaces.enter import entered, new_netns
from testbed.kernel.rules import elements, netfilter
from testbed.load import load
from testbed.net.facts import NftElement, NftSet
from testbed.plan import plan

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def inside() -> Iterator[None]:
    """Each test is in a namespace of its own."""
    namespace = new_netns()
    with entered(namespace):
        yield
    os.close(namespace)


def nft_set(name: str, key_type: str, value_type: str = "", flags: str = "") -> NftSet:
    return NftSet(
        ns="v",
        family="bridge",
        table="vpc",
        name=name,
        key_type=key_type,
        value_type=value_type,
        flags=flags,
    )


def element(of: str, key: str, value: str = "") -> NftElement:
    return NftElement(ns="v", family="bridge", table="vpc", set=of, element=key, value=value)


SETS = [
    nft_set("ports", "ifname . ether_addr"),
    nft_set("subnets", "ifname . ipv4_addr", flags="interval"),
    nft_set("assigned", "ether_addr . ipv4_addr"),
    nft_set("macs", "ipv4_addr", "ether_addr"),
    nft_set("unchecked", "ether_addr"),
    nft_set("empty", "ifname"),
]
ELEMENTS = [
    element("ports", '"node-1-e0" . 02:00:00:00:00:01'),
    element("subnets", '"node-1-e0" . 10.0.1.0/24'),
    element("subnets", '"node-1-e1" . 10.0.1.0/24'),
    element("subnets", '"nat-e0" . 10.0.2.4'),
    element("assigned", "02:00:00:00:00:01 . 10.0.1.4"),
    element("assigned", "02:00:00:00:00:01 . 10.0.1.5"),
    element("macs", "10.0.1.4", "02:00:00:00:00:01"),
    element("unchecked", "02:00:00:00:00:01"),
]


def test_elements_of_a_vpcs_sets_are_known() -> None:
    netfilter.write("v", frozenset(), frozenset([*SETS, *ELEMENTS]))

    assert elements.are(SETS, ELEMENTS)


@pytest.mark.parametrize("name", ["eks", "prefix-delegation", "nlb"])
def test_those_of_a_planned_vpc_are(topologies: Path, name: str) -> None:
    """One that is left to nft has all tables of the namespace listed: a third of a second."""
    lab = load(topologies / f"{name}.yaml")
    state = [one for one in plan(lab, allocate(lab)) if one.ns == "vpc-main"]
    sets = [one for one in state if isinstance(one, NftSet)]
    planned = [one for one in state if isinstance(one, NftElement)]
    netfilter.write("vpc-main", frozenset(), frozenset([*sets, *planned]))

    assert elements.are(sets, planned)
    assert not elements.are(sets, planned[1:])


@pytest.mark.parametrize("one", ELEMENTS, ids=lambda one: one.element)
def test_one_too_many_and_one_too_few_are_not(one: NftElement) -> None:
    others = [other for other in ELEMENTS if other != one]
    netfilter.write("v", frozenset(), frozenset([*SETS, *others]))

    assert elements.are(SETS, others)
    assert not elements.are(SETS, ELEMENTS)

    netfilter.write("v", frozenset([*SETS, *others]), frozenset([*SETS, *ELEMENTS]))

    assert not elements.are(SETS, others)


def test_elements_of_a_set_that_is_not_there_are_not() -> None:
    netfilter.write("v", frozenset(), frozenset([*SETS, *ELEMENTS]))

    assert not elements.are(SETS[1:], ELEMENTS)


@pytest.mark.parametrize(
    ("declared", "key"),
    [
        (nft_set("ranges", "ipv4_addr", flags="interval"), "10.0.0.0/16"),
        (nft_set("ranges", "ipv4_addr", flags="interval"), "10.0.0.1"),
        (nft_set("those", "ifname", flags="interval"), '"eth*"'),
        (nft_set("both", "ifname . ipv4_addr", flags="interval"), '"eth0" . 10.0.1.4-10.0.1.6'),
        (nft_set("told", "ipv4_addr"), '10.0.0.1 comment "one"'),
        (nft_set("ports", "inet_service"), "80"),
    ],
)
def test_what_only_nft_can_spell_is_left_to_it(declared: NftSet, key: str) -> None:
    planned = [element(declared.name, key)]
    netfilter.write("v", frozenset(), frozenset([declared, *planned]))

    assert not elements.are([declared], planned)


def test_what_packets_put_into_a_set_is_nobodys_plan() -> None:
    filled = nft_set("rates", "ipv4_addr", flags="dynamic")
    seen = [element("rates", "10.0.0.1")]
    netfilter.write("v", frozenset(), frozenset([filled, *seen]))

    assert elements.are([filled], [])
