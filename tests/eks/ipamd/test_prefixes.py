"""Prefix delegation: how many /28s ipamD asks for, keeps and gives back."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from testbed.eks.ipamd.asked.grants import Grants
from testbed.eks.ipamd.daemon import Ipamd
from testbed.eks.ipamd.datastore.store import PoolEni
from testbed.eks.ipamd.decisions import (
    AssignPrefixes,
    AttachEni,
    FreeEni,
    Refusal,
    UnassignAddresses,
    UnassignPrefixes,
)
from tests.eks.ipamd.pools import blocks, eni, m5_large, prefixed, run_pass, store


def test_a_new_node_asks_for_one_prefix() -> None:
    assert run_pass(store(blocks(0)), prefixed()) == [AssignPrefixes("eni-0", 1)]


def test_one_free_prefix_is_warm_enough() -> None:
    """Sixteen free addresses, not a whole free prefix: the first pod brings the second one."""
    assert run_pass(store(blocks(0, 0)), prefixed()) == []
    assert run_pass(store(blocks(0, 1)), prefixed()) == [AssignPrefixes("eni-0", 1)]
    assert run_pass(store(blocks(0, 1, 0)), prefixed()) == []


def test_two_used_prefixes_with_sixteen_free_addresses_are_not_too_low() -> None:
    assert run_pass(store(blocks(0, 8, 8)), prefixed()) == []


def test_a_full_eni_brings_another_with_prefixes() -> None:
    nine = blocks(0, *[16] * 9)

    assert run_pass(store(nine), prefixed(max_pods=250)) == [AttachEni(prefixes=1)]


def test_more_warm_prefixes_are_asked_for_at_once() -> None:
    rules = prefixed(warm_prefix_target=3)

    assert run_pass(store(blocks(0, 1)), rules) == [AssignPrefixes("eni-0", 3)]


def test_free_prefixes_above_the_target_go_back() -> None:
    assert run_pass(store(blocks(0, 1, 0, 0)), prefixed()) == [
        UnassignPrefixes("eni-0", (IPv4Network("10.1.0.32/28"),))
    ]


def test_without_a_warm_prefix_only_an_empty_pool_is_filled() -> None:
    rules = prefixed(warm_prefix_target=0)

    assert run_pass(store(blocks(0)), rules) == [AssignPrefixes("eni-0", 1)]
    assert run_pass(store(blocks(0, 15)), rules) == []
    assert run_pass(store(blocks(0, 16)), rules) == [AssignPrefixes("eni-0", 1)]


@pytest.mark.parametrize(
    ("warm", "minimum", "pods", "asked"),
    [
        (0, 17, 0, 2),  # docs/prefix-and-ip-target.md of amazon-vpc-cni-k8s: whole prefixes
        (1, 0, 16, 1),
        (20, 0, 0, 2),
        (5, 16, 11, 0),
        (5, 16, 12, 1),
        (7, 20, 0, 2),  # the page says 1; the code rounds up
    ],
)
def test_ip_targets_are_met_by_whole_prefixes(
    warm: int, minimum: int, pods: int, asked: int
) -> None:
    rules = prefixed(warm_ip_target=warm, minimum_ip_target=minimum)
    held = blocks(0, pods) if pods else blocks(0)

    expected = [AssignPrefixes("eni-0", asked)] if asked else []

    assert run_pass(store(held), rules) == expected


@pytest.mark.parametrize(
    ("warm", "minimum", "held", "gone"),
    [
        (5, 0, (1, 0), ["10.1.0.16/28"]),  # 15 free in the first are enough
        (16, 0, (1, 0), []),  # 17 addresses need two prefixes
        (1, 20, (1, 0), []),  # the minimum is two prefixes
        (1, 0, (1, 1, 0), ["10.1.0.32/28"]),
        (1, 0, (1, 1), []),  # two are one too many, but neither is free
    ],
)
def test_prefixes_no_target_needs_go_back(
    warm: int, minimum: int, held: tuple[int, ...], gone: list[str]
) -> None:
    rules = prefixed(warm_ip_target=warm, minimum_ip_target=minimum, warm_prefix_target=0)
    wanted = [UnassignPrefixes("eni-0", tuple(map(IPv4Network, gone)))] if gone else []

    assert run_pass(store(blocks(0, *held)), rules) == wanted


def test_an_eni_is_freed_when_another_has_the_warm_prefix() -> None:
    """Whatever the number of addresses: a single ENI without pods is reason to look."""
    assert run_pass(store(blocks(0, 1, 0), blocks(1)), prefixed()) == [FreeEni("eni-1")]


def test_the_eni_with_the_warm_prefix_stays() -> None:
    assert run_pass(store(blocks(0, 1), blocks(1, 0)), prefixed()) == []


def test_targets_of_addresses_keep_an_eni_in_whole_prefixes() -> None:
    rules = prefixed(warm_ip_target=17, warm_prefix_target=0)
    fifteen_and_sixteen = blocks(0, 1, 0)

    assert run_pass(store(fifteen_and_sixteen, blocks(1)), rules) == [], "31 < 32"
    assert run_pass(store(blocks(0, 0, 0), blocks(1)), rules) == [FreeEni("eni-1")]


def test_a_fragmented_subnet_is_asked_for_one_prefix_and_then_for_an_eni() -> None:
    found = run_pass(store(blocks(0)), prefixed(warm_prefix_target=2), free=15)

    assert [type(one).__name__ for one in found] == ["Refusal"] * 3
    requests = [one.decision for one in found if isinstance(one, Refusal)]
    assert requests == [
        AssignPrefixes("eni-0", 2),
        AssignPrefixes("eni-0", 1),
        AttachEni(prefixes=2),
    ]
    assert {one.code for one in found if isinstance(one, Refusal)} == {"InsufficientCidrBlocks"}


def test_custom_networking_keeps_prefixes_off_eth0() -> None:
    assert run_pass(store(blocks(0)), prefixed(custom_networking=True)) == [AttachEni(prefixes=1)]


def test_after_the_mode_was_switched_the_unused_of_the_other_goes_back() -> None:
    """What pods have stays until they go."""
    mixed = PoolEni(
        "eni-0", 0, eni(0, 2, 1).free, eni(0, 2, 1).assigned, prefixes=blocks(0, 1, 0).prefixes
    )

    assert Ipamd(prefixed(), store(mixed), Grants(None)).return_unused() == [
        UnassignAddresses("eni-0", (IPv4Address("10.0.0.2"),))
    ]
    assert Ipamd(m5_large(), store(mixed), Grants(None)).return_unused() == [
        UnassignPrefixes("eni-0", (IPv4Network("10.1.0.16/28"),))
    ]
    assert Ipamd(m5_large("slides"), store(mixed), Grants(None)).return_unused() == []
