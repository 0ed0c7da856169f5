"""ipamD's decisions for both eras: when it takes more addresses, and when it gives some back."""

from ipaddress import IPv4Address, IPv4Network

import pytest
from pydantic import TypeAdapter

from testbed.eks.environment import CniSettings
from testbed.eks.ipamd import (
    AssignAddresses,
    AttachEni,
    DataStore,
    FreeEni,
    PoolEni,
    Settings,
    UnassignAddresses,
    add,
    assign,
    choose,
    decide,
    remove,
    settings,
)
from testbed.eks.model import EksCluster, Profile
from testbed.eks.profiles import ERAS
from testbed.kubernetes.model import Node

BOTH = pytest.mark.parametrize("profile", ["slides", "current"])


def m5_large(
    profile: Profile,
    *,
    warm_eni_target: int = 1,
    warm_ip_target: int = 0,
    minimum_ip_target: int = 0,
    addresses_per_eni: int = 9,
    max_pods: int = 29,
) -> Settings:
    """Three ENIs of nine secondary addresses, targets as the manifest has them."""
    return Settings(
        era=ERAS[profile],
        warm_eni_target=warm_eni_target,
        warm_ip_target=warm_ip_target,
        minimum_ip_target=minimum_ip_target,
        max_enis=3,
        addresses_per_eni=addresses_per_eni,
        max_pods=max_pods,
    )


def eni(index: int, total: int, assigned: int = 0, *, young: bool = False) -> PoolEni:
    """`eni-INDEX` with addresses 10.0.INDEX.1 to .TOTAL; pods have the first ones."""
    addresses = [IPv4Address(f"10.0.{index}.{last}") for last in range(1, total + 1)]
    taken = frozenset(addresses[:assigned])
    return PoolEni(f"eni-{index}", index, tuple(addresses[assigned:]), taken, young)


def store(*enis: PoolEni) -> DataStore:
    return DataStore(enis)


@BOTH
def test_a_new_node_fills_its_first_eni(profile):
    assert decide(store(eni(0, 0)), m5_large(profile)) == AssignAddresses("eni-0", 9)


@BOTH
def test_an_empty_node_is_content_with_its_first_eni(profile):
    """Nine free addresses are the warm ENI; no second one is attached until a pod comes."""
    assert decide(store(eni(0, 9)), m5_large(profile)) is None


@BOTH
def test_the_first_pod_brings_the_second_eni(profile):
    assert decide(store(eni(0, 9, 1)), m5_large(profile)) == AttachEni(9)


@BOTH
def test_no_eni_is_attached_beyond_the_limit(profile):
    full = store(eni(0, 9, 9), eni(1, 9, 9), eni(2, 9, 5))

    assert decide(full, m5_large(profile)) is None


@BOTH
def test_an_eni_with_room_comes_before_a_new_one(profile):
    assert decide(store(eni(0, 9, 9), eni(1, 4)), m5_large(profile)) == AssignAddresses("eni-1", 5)


@BOTH
def test_two_spare_enis_of_addresses_free_the_last_eni_without_pods(profile):
    spare = store(eni(0, 9), eni(1, 9), eni(2, 9))

    assert decide(spare, m5_large(profile)) == FreeEni("eni-2")
    assert decide(store(eni(0, 9), eni(1, 9)), m5_large(profile)) == FreeEni("eni-1")


@BOTH
def test_neither_an_eni_with_pods_nor_a_young_one_is_freed(profile):
    spare = store(eni(0, 9), eni(1, 9, 1), eni(2, 9, young=True))

    assert decide(spare, m5_large(profile)) is None


@BOTH
def test_a_warm_ip_target_trims_what_is_too_much(profile):
    rules = m5_large(profile, warm_ip_target=2)
    highest = tuple(IPv4Address(f"10.0.0.{last}") for last in range(4, 10))

    assert decide(store(eni(0, 9, 1)), rules) == UnassignAddresses("eni-0", highest)
    assert decide(store(eni(0, 3, 1)), rules) is None


def test_v1_5_fills_an_eni_whatever_is_short():
    rules = m5_large("slides", warm_ip_target=2)

    assert decide(store(eni(0, 2, 1)), rules) == AssignAddresses("eni-0", 7)


def test_today_only_what_is_short_is_asked_for():
    rules = m5_large("current", warm_ip_target=2)

    assert decide(store(eni(0, 2, 1)), rules) == AssignAddresses("eni-0", 1)


@BOTH
def test_a_new_eni_brings_only_what_the_target_lacks(profile):
    rules = m5_large(profile, warm_ip_target=2)

    assert decide(store(eni(0, 9, 9)), rules) == AttachEni(2)


@BOTH
def test_with_a_target_an_eni_is_freed_when_the_others_have_enough(profile):
    rules = m5_large(profile, warm_ip_target=2)

    assert decide(store(eni(0, 9, 7), eni(1, 0)), rules) == FreeEni("eni-1")
    assert decide(store(eni(0, 9, 8), eni(1, 1)), rules) is None


def test_today_a_minimum_is_taken_at_once_and_kept():
    rules = m5_large("current", warm_ip_target=1, minimum_ip_target=5)

    assert decide(store(eni(0, 0)), rules) == AssignAddresses("eni-0", 5)
    assert decide(store(eni(0, 5)), rules) is None
    assert decide(store(eni(0, 5, 5)), rules) == AssignAddresses("eni-0", 1)


def test_without_warm_enis_v1_5_never_asks_for_an_address():
    """A known mistake, corrected in v1.6."""
    assert decide(store(eni(0, 0)), m5_large("slides", warm_eni_target=0)) is None


def test_without_warm_enis_today_s_ipamd_refills_an_empty_pool():
    rules = m5_large("current", warm_eni_target=0)

    assert decide(store(eni(0, 0)), rules) == AssignAddresses("eni-0", 9)
    assert decide(store(eni(0, 9, 8)), rules) is None


def test_today_there_are_never_more_addresses_than_pods():
    full = store(eni(0, 9, 9))

    assert decide(full, m5_large("current", max_pods=9)) is None
    assert decide(full, m5_large("slides", max_pods=9)) == AttachEni(9)


def test_a_pod_gets_the_primary_eni_s_lowest_address():
    chosen = choose(store(eni(0, 3, 1), eni(1, 3)))

    assert chosen == (eni(0, 3, 1), IPv4Address("10.0.0.2"))


def test_a_pod_may_be_pinned_to_an_eni():
    pool = store(eni(0, 3), eni(1, 3, 3))

    assert choose(pool, 0) == (eni(0, 3), IPv4Address("10.0.0.1"))
    assert choose(pool, 1) is None
    assert choose(pool, 2) is None


def test_the_store_follows_what_is_assigned_added_and_removed():
    pool = store(eni(0, 3))

    used = assign(pool, pool.enis[0], IPv4Address("10.0.0.1"))
    grown = used.put(add(used.eni("eni-0"), [IPv4Address("10.0.0.0")]))
    shrunk = grown.put(remove(grown.eni("eni-0"), [IPv4Address("10.0.0.3")]))

    assert (used.total, used.assigned, used.available) == (3, 1, 2)
    assert grown.enis[0].free[0] == IPv4Address("10.0.0.0")
    assert shrunk.enis[0].free == (IPv4Address("10.0.0.0"), IPv4Address("10.0.0.2"))
    assert shrunk.without("eni-0") == DataStore()


def test_settings_come_from_environment_and_instance_type():
    env = TypeAdapter(CniSettings).validate_python(
        {"WARM_IP_TARGET": 2, "MINIMUM_IP_TARGET": 6, "MAX_ENI": 2}
    )
    node = Node("n1", "a", "m5.large")
    cluster = EksCluster("eks", "main", (node,), env=env)

    found = settings(cluster, node)

    assert (found.warm_eni_target, found.warm_ip_target, found.minimum_ip_target) == (1, 2, 6)
    assert (found.max_enis, found.addresses_per_eni, found.max_pods) == (2, 9, 29)


def test_v1_5_does_not_know_a_minimum_and_no_environment_exceeds_the_type():
    env = TypeAdapter(CniSettings).validate_python({"MINIMUM_IP_TARGET": 6, "MAX_ENI": 20})
    node = Node("n1", "a", "m5.large", max_pods=110)
    cluster = EksCluster("eks", "main", (node,), profile="slides", env=env)

    found = settings(cluster, node)

    assert (found.minimum_ip_target, found.max_enis, found.max_pods) == (0, 3, 110)


def test_the_first_two_enis_of_the_slides_node_need_no_more_than_one_pod():
    """eks-slides: Pod2 can be pinned to eth1 because Pod1 made ipamD attach it."""
    cidr = IPv4Network("10.10.0.0/19")
    pool = store(PoolEni("eni-0", 0, (cidr[101], cidr[103], cidr[104])))
    rules = m5_large("slides", addresses_per_eni=3)

    assert decide(pool, rules) is None
    assert decide(assign(pool, pool.enis[0], cidr[101]), rules) == AttachEni(3)
