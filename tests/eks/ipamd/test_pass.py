"""ipamD's passes for both eras: when it takes more addresses, and when it gives some back."""

from ipaddress import IPv4Address

import pytest

from testbed.eks.ipamd.decisions import AssignAddresses, AttachEni, FreeEni, UnassignAddresses
from testbed.eks.model import Profile
from tests.eks.ipamd.pools import NOW, eni, m5_large, run_pass, store

BOTH = pytest.mark.parametrize("profile", ["slides", "current"])

# v1.5 creates an ENI with its own address alone and asks for the others then
ATTACHED = {
    "slides": lambda count: [AttachEni(), AssignAddresses("new", count)],
    "current": lambda count: [AttachEni(addresses=count)],
}


@BOTH
def test_a_new_node_fills_its_first_eni(profile: Profile) -> None:
    assert run_pass(store(eni(0, 0)), m5_large(profile)) == [AssignAddresses("eni-0", 9)]


@BOTH
def test_an_empty_node_is_content_with_its_first_eni(profile: Profile) -> None:
    """Nine free addresses are the warm ENI; no second one is attached until a pod comes."""
    assert run_pass(store(eni(0, 9)), m5_large(profile)) == []


@BOTH
def test_the_first_pod_brings_the_second_eni(profile: Profile) -> None:
    assert run_pass(store(eni(0, 9, 1)), m5_large(profile)) == ATTACHED[profile](9)


@BOTH
def test_no_eni_is_attached_beyond_the_limit(profile: Profile) -> None:
    full = store(eni(0, 9, 9), eni(1, 9, 9), eni(2, 9, 5))

    assert run_pass(full, m5_large(profile)) == []


@pytest.mark.parametrize("condition", ["unmanaged_enis", "awaited_trunks"])
def test_enis_that_are_not_ipamd_s_count_against_its_limit(condition: str) -> None:
    two = store(eni(0, 9, 9), eni(1, 9, 5))

    assert run_pass(two, m5_large()) == [AttachEni(9)], "premise"
    assert run_pass(two, m5_large(), **{condition: 1}) == []


@BOTH
def test_an_eni_with_room_comes_before_a_new_one(profile: Profile) -> None:
    pool = store(eni(0, 9, 9), eni(1, 4))

    assert run_pass(pool, m5_large(profile)) == [AssignAddresses("eni-1", 5)]


@pytest.mark.parametrize("kind", ["trunk", "excluded"])
def test_an_eni_that_carries_no_pods_is_not_filled(kind: str) -> None:
    assert run_pass(store(eni(0, 9, 9), eni(1, 0, **{kind: True})), m5_large()) == [AttachEni(9)]


def test_addresses_of_an_excluded_eni_count_for_nothing() -> None:
    pool = store(eni(0, 9, 1), eni(1, 9, excluded=True))

    assert run_pass(pool, m5_large()) == [AttachEni(9)]


@BOTH
def test_two_spare_enis_of_addresses_free_the_last_eni_without_pods(profile: Profile) -> None:
    """One ENI in a pass."""
    rules = m5_large(profile)

    assert run_pass(store(eni(0, 9), eni(1, 9), eni(2, 9)), rules) == [FreeEni("eni-2")]
    assert run_pass(store(eni(0, 9), eni(1, 9)), rules) == [FreeEni("eni-1")]


@BOTH
@pytest.mark.parametrize("age_s", [0, 59])
def test_an_eni_with_pods_is_not_freed_nor_one_that_is_young(
    profile: Profile, age_s: float
) -> None:
    spare = [eni(0, 9), eni(1, 9, 1)]

    assert run_pass(store(*spare, eni(2, 9, attached_at=NOW - age_s)), m5_large(profile)) == []
    old = eni(2, 9, attached_at=NOW - 60)
    assert run_pass(store(*spare, old), m5_large(profile)) == [FreeEni("eni-2")]


@pytest.mark.parametrize("kind", ["trunk", "efa"])
def test_a_trunk_and_an_efa_eni_stay(kind: str) -> None:
    assert run_pass(store(eni(0, 9), eni(1, 9, **{kind: True})), m5_large()) == []


@pytest.mark.parametrize(
    ("profile", "ago_s", "freed"),
    [("current", 30, False), ("current", 31, True), ("slides", 59, False), ("slides", 60, True)],
)
def test_an_eni_stays_while_a_pod_s_address_on_it_cools(
    profile: Profile, ago_s: float, freed: bool
) -> None:
    """Today as long as any of its addresses is in cooldown, in v1.5 for a minute."""
    cooling = eni(1, 9, released={IPv4Address("10.0.1.3"): NOW - ago_s})

    found = run_pass(store(eni(0, 9), cooling), m5_large(profile))

    assert found == ([FreeEni("eni-1")] if freed else [])


@BOTH
def test_a_warm_ip_target_trims_what_is_too_much(profile: Profile) -> None:
    rules = m5_large(profile, warm_ip_target=2)
    highest = tuple(IPv4Address(f"10.0.0.{last}") for last in range(4, 10))

    assert run_pass(store(eni(0, 9, 1)), rules) == [UnassignAddresses("eni-0", highest)]
    assert run_pass(store(eni(0, 3, 1)), rules) == []


@BOTH
def test_what_is_too_much_is_given_back_by_one_eni_after_the_other(profile: Profile) -> None:
    """And an ENI that nobody needs then goes in the same pass."""
    rules = m5_large(profile, warm_ip_target=2)
    last = tuple(IPv4Address(f"10.0.0.{i}") for i in range(4, 10))

    assert run_pass(store(eni(0, 9, 1), eni(1, 2)), rules) == [
        UnassignAddresses("eni-1", (IPv4Address("10.0.1.1"), IPv4Address("10.0.1.2"))),
        UnassignAddresses("eni-0", last),
        FreeEni("eni-1"),
    ]


@BOTH
def test_addresses_in_cooldown_are_given_back_like_others(profile: Profile) -> None:
    """They count as available too: after a burst of deletions no ADD finds one, and none comes."""
    address = IPv4Address("10.0.0.3")
    pool = store(eni(0, 3, 1, released={address: NOW - 1}))

    assert run_pass(pool, m5_large(profile, warm_ip_target=1)) == [
        UnassignAddresses("eni-0", (address,))
    ]
    assert run_pass(pool, m5_large(profile, warm_ip_target=2)) == []


@BOTH
@pytest.mark.parametrize(("ago_s", "shrinks"), [(30, False), (31, True)])
def test_the_pool_shrinks_at_most_every_30_seconds(
    profile: Profile, ago_s: float, shrinks: bool
) -> None:
    rules = m5_large(profile, warm_ip_target=2)

    assert bool(run_pass(store(eni(0, 4, 1)), rules, decreased_at=NOW - ago_s)) == shrinks


def test_v1_5_fills_an_eni_whatever_is_short() -> None:
    rules = m5_large("slides", warm_ip_target=2)

    assert run_pass(store(eni(0, 2, 1)), rules) == [AssignAddresses("eni-0", 7)]


def test_today_only_what_is_short_is_asked_for() -> None:
    assert run_pass(store(eni(0, 2, 1)), m5_large(warm_ip_target=2)) == [
        AssignAddresses("eni-0", 1)
    ]


@BOTH
def test_a_new_eni_brings_only_what_the_target_lacks(profile: Profile) -> None:
    rules = m5_large(profile, warm_ip_target=2)

    assert run_pass(store(eni(0, 9, 9)), rules) == ATTACHED[profile](2)


@BOTH
def test_with_a_target_an_eni_is_freed_when_the_others_have_enough(profile: Profile) -> None:
    rules = m5_large(profile, warm_ip_target=2)

    assert run_pass(store(eni(0, 9, 7), eni(1, 0)), rules) == [FreeEni("eni-1")]
    assert run_pass(store(eni(0, 9, 8), eni(1, 1)), rules) == []


@BOTH
def test_with_a_target_a_pass_may_take_addresses_and_free_an_eni(profile: Profile) -> None:
    """The new addresses are those of another ENI."""
    rules = m5_large(profile, warm_ip_target=2)
    count = 2 if profile == "current" else 4

    assert run_pass(store(eni(0, 5, 5), eni(1, 0)), rules) == [
        AssignAddresses("eni-0", count),
        FreeEni("eni-1"),
    ]


def test_today_a_minimum_is_taken_at_once_and_kept() -> None:
    rules = m5_large(warm_ip_target=1, minimum_ip_target=5)

    assert run_pass(store(eni(0, 0)), rules) == [AssignAddresses("eni-0", 5)]
    assert run_pass(store(eni(0, 5)), rules) == []
    assert run_pass(store(eni(0, 5, 5)), rules) == [AssignAddresses("eni-0", 1)]


def test_an_eni_that_a_minimum_needs_is_not_freed() -> None:
    two = store(eni(0, 9, 1), eni(1, 3))

    assert run_pass(two, m5_large(warm_ip_target=8, minimum_ip_target=12)) == []
    assert FreeEni("eni-1") in run_pass(two, m5_large(warm_ip_target=8, minimum_ip_target=9))


def test_without_warm_enis_v1_5_never_asks_for_an_address() -> None:
    """A known mistake, corrected in v1.6."""
    assert run_pass(store(eni(0, 0)), m5_large("slides", warm_eni_target=0)) == []


def test_without_warm_enis_today_s_ipamd_refills_an_empty_pool() -> None:
    rules = m5_large(warm_eni_target=0)

    assert run_pass(store(eni(0, 0)), rules) == [AssignAddresses("eni-0", 9)]
    assert run_pass(store(eni(0, 9, 8)), rules) == []


def test_today_there_are_never_more_addresses_than_pods() -> None:
    full = store(eni(0, 9, 9))

    assert run_pass(full, m5_large(max_pods=9)) == []
    assert run_pass(full, m5_large("slides", max_pods=9)) == ATTACHED["slides"](9)


@pytest.mark.parametrize("condition", ["terminating", "cordoned"])
def test_while_it_ends_or_the_node_is_cordoned_no_eni_changes(condition: str) -> None:
    """Addresses are given back all the same; v1.5 knows neither."""
    busy, spare = store(eni(0, 9, 1)), store(eni(0, 9), eni(1, 9))
    stops = {condition: True}

    assert run_pass(busy, m5_large(), **stops) == run_pass(spare, m5_large(), **stops) == []
    assert len(run_pass(busy, m5_large(warm_ip_target=2), **stops)) == 1
    assert run_pass(busy, m5_large("slides"), **stops) == ATTACHED["slides"](9)


def test_a_setting_lets_it_manage_cordoned_nodes() -> None:
    rules = m5_large(manages_cordoned=True)

    assert run_pass(store(eni(0, 9, 1)), rules, cordoned=True) == [AttachEni(9)]


def test_with_custom_networking_eth0_is_left_alone() -> None:
    """It is in the node's subnet, and pods shall not be."""
    rules = m5_large(custom_networking=True)

    assert run_pass(store(eni(0, 0)), rules) == [AttachEni(9)]
    assert run_pass(store(eni(0, 0), eni(1, 3)), rules) == [AssignAddresses("eni-1", 6)]
