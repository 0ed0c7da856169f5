"""ipamD's data store: which address the next pod gets, and when one can be given again."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from testbed.eks.ipamd.datastore.store import (
    DataStore,
    PoolEni,
    Prefix,
    add,
    assign,
    choose,
    count,
    remove,
    unassign,
)
from testbed.eks.model import Profile
from tests.eks.ipamd.pools import NOW, blocks, eni, m5_large, prefixed, store

RULES = m5_large()


def chosen(pool: DataStore, now: float = NOW, prefixes: bool = False) -> str | None:
    found = choose(pool, prefixed() if prefixes else RULES, now)
    return str(found[1]) if found else None


def test_a_pod_gets_the_primary_eni_s_lowest_address() -> None:
    found = choose(store(eni(0, 3, 1), eni(1, 3)), RULES, NOW)

    assert found == (eni(0, 3, 1), IPv4Address("10.0.0.2"))


def test_a_pod_may_be_pinned_to_an_eni() -> None:
    pool = store(eni(0, 3), eni(1, 3, 3))

    assert choose(pool, RULES, NOW, 0) == (eni(0, 3), IPv4Address("10.0.0.1"))
    assert choose(pool, RULES, NOW, 1) is None
    assert choose(pool, RULES, NOW, 2) is None


def test_an_excluded_eni_gives_none() -> None:
    assert chosen(store(eni(0, 3, excluded=True), eni(1, 1))) == "10.0.1.1"


@pytest.mark.parametrize("profile", ["slides", "current"])
def test_an_address_cools_down_for_30_seconds(profile: Profile) -> None:
    """Longer than kube-proxy needs to forget the pod that had it."""
    pool = store(eni(0, 1, 1))
    address = IPv4Address("10.0.0.1")

    back = unassign(pool, address, NOW)

    assert choose(back, m5_large(profile), NOW + 30) is None
    assert choose(back, m5_large(profile), NOW + 30.1) == (back.enis[0], address)


def test_the_cooldown_is_a_setting() -> None:
    back = unassign(store(eni(0, 1, 1)), IPv4Address("10.0.0.1"), NOW)

    assert choose(back, m5_large(cooldown_s=5), NOW + 6)
    assert choose(back, m5_large(cooldown_s=-1), NOW)


def test_nobody_gives_back_what_no_pod_has() -> None:
    with pytest.raises(LookupError, match="datastore: unknown pod"):
        unassign(store(eni(0, 3, 1)), IPv4Address("10.0.0.2"), NOW)


def test_the_store_follows_what_is_assigned_added_and_removed() -> None:
    pool = store(eni(0, 3))

    used = assign(pool, pool.enis[0], IPv4Address("10.0.0.1"), RULES, NOW)
    grown = used.put(add(used.eni("eni-0"), [IPv4Address("10.0.0.0")]))
    shrunk = grown.put(remove(grown.eni("eni-0"), [IPv4Address("10.0.0.3")]))

    stats = count(used, RULES)
    assert (stats.total, stats.assigned, stats.available) == (3, 1, 2)
    assert grown.enis[0].free[0] == IPv4Address("10.0.0.0")
    assert shrunk.enis[0].free == (IPv4Address("10.0.0.0"), IPv4Address("10.0.0.2"))
    assert shrunk.without("eni-0") == DataStore()


def test_all_sixteen_addresses_of_a_prefix_are_for_pods() -> None:
    """Those that look like a network's own and its broadcast address too."""
    pool, given = store(blocks(0, 0)), []
    while found := choose(pool, prefixed(), NOW):
        given.append(found[1])
        pool = assign(pool, *found, prefixed(), NOW)

    assert given == list(IPv4Network("10.1.0.0/28"))


def test_in_a_prefix_an_address_used_before_comes_first_once_it_has_cooled() -> None:
    cidr = IPv4Network("10.1.0.0/28")
    prefix = Prefix(cidr, frozenset([cidr[0]]), {cidr[5]: NOW, cidr[3]: NOW - 1})
    pool = store(PoolEni("eni-0", 0, prefixes=(prefix,)))

    assert chosen(pool, NOW + 10, prefixes=True) == "10.1.0.1", "both are in cooldown"
    assert chosen(pool, NOW + 30, prefixes=True) == "10.1.0.3"


def test_the_search_forgets_which_addresses_had_been_used() -> None:
    """So of two that have cooled, the second is the next one only in its turn."""
    cidr = IPv4Network("10.1.0.0/28")
    prefix = Prefix(cidr, released={cidr[5]: NOW, cidr[3]: NOW})
    pool = store(PoolEni("eni-0", 0, prefixes=(prefix,)))

    after = assign(pool, pool.enis[0], cidr[3], prefixed(), NOW + 60)

    assert after.enis[0].prefixes == (Prefix(cidr, frozenset([cidr[3]])),)


def test_only_addresses_of_the_mode_count_and_are_given() -> None:
    """After ENABLE_PREFIX_DELEGATION was switched, an ENI may have both kinds."""
    both = PoolEni("eni-0", 0, eni(0, 2).free, prefixes=blocks(0, 1).prefixes)
    single, prefix = count(store(both), RULES), count(store(both), prefixed())

    assert (single.total, single.assigned, chosen(store(both))) == (2, 0, "10.0.0.1")
    assert (prefix.total, prefix.assigned) == (16, 1)
    assert chosen(store(both), prefixes=True) == "10.1.0.1"
    assert both.slots == 3
