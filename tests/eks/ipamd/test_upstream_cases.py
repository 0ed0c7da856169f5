"""The states of amazon-vpc-cni-k8s' own tests at v1.23.1, given to our ipamD; each test names its.

pkg/ipamd/ipamd_test.go, pkg/ipamd/datastore/data_store_test.go.
"""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from testbed.eks.environment import CniSettings
from testbed.eks.ipamd import pool
from testbed.eks.ipamd.asked.answer import answer
from testbed.eks.ipamd.asked.read import parse
from testbed.eks.ipamd.datastore.store import DataStore, Stats, choose, count
from testbed.eks.ipamd.decisions import UnassignAddresses
from testbed.eks.ipamd.settings import Settings
from tests.eks.ipamd.pools import NOW, blocks, eni, m5_large, prefixed, run_pass, store

EMPTY, THREE_FREE, ONE_POD, THREE_PODS = (
    store(),
    store(eni(0, 3)),
    store(eni(0, 3, 1)),
    store(eni(0, 3, 3)),
)


def of(slots: int, **changed: Any) -> Settings:
    return m5_large(**{"slots_per_eni": slots, "max_enis": 4, "max_pods": 500, **changed})


@pytest.mark.parametrize(
    ("held", "rules", "too_low"),
    [
        (EMPTY, of(14), True),
        (EMPTY, of(14, warm_eni_target=0), True),
        (EMPTY, of(14, warm_eni_target=0, warm_ip_target=3), True),
        (THREE_FREE, of(3, warm_ip_target=1), False),
        (ONE_POD, of(3), True),
        (ONE_POD, of(3, warm_eni_target=0), False),
        (THREE_PODS, of(3), True),
        (THREE_PODS, of(3, warm_eni_target=0), True),
        (THREE_PODS, of(3, warm_eni_target=0, warm_ip_target=5, max_pods=3), False),
    ],
)
def test_node_ip_pool_too_low(held: DataStore, rules: Settings, too_low: bool) -> None:
    """TestIPAMContext_nodeIPPoolTooLow."""
    assert pool.too_low(count(held, rules), rules) is too_low


@pytest.mark.parametrize(
    ("held", "warm_prefixes", "max_pods", "too_low"),
    [
        (store(), 1, 500, True),
        (store(), 0, 500, True),
        (store(blocks(0, 0)), 1, 500, False),
        (store(blocks(0, 1)), 1, 500, True),
        (store(blocks(0, 1)), 0, 500, False),
        (store(blocks(0, 3)), 1, 500, True),
        (store(blocks(0, 3)), 0, 500, False),
        (store(blocks(0, 3)), 1, 4, False),
    ],
)
def test_node_prefix_pool_too_low(
    held: DataStore, warm_prefixes: int, max_pods: int, too_low: bool
) -> None:
    """TestIPAMContext_nodePrefixPoolTooLow."""
    rules = prefixed(slots_per_eni=16, warm_prefix_target=warm_prefixes, max_pods=max_pods)

    assert pool.too_low(count(held, rules), rules) is too_low


@pytest.mark.parametrize(
    ("held", "rules", "short", "over"),
    [
        (store(), m5_large(warm_ip_target=5), 5, 0),
        (store(eni(1, 2)), m5_large(warm_ip_target=5), 3, 0),
        (store(eni(1, 5)), m5_large(warm_ip_target=5), 0, 0),
        (store(), m5_large("slides", warm_ip_target=5), 5, 0),
        (store(eni(1, 2)), m5_large("slides", warm_ip_target=5), 3, 0),
        (store(eni(1, 5)), m5_large("slides", warm_ip_target=5), 0, 0),
        (store(), prefixed(warm_ip_target=5), 1, 0),
        (store(blocks(1, 0, 0)), prefixed(warm_ip_target=5), 0, 1),
        (store(blocks(1, 0)), prefixed(warm_ip_target=5), 0, 0),
    ],
)
def test_warm_ip_target_state(held: DataStore, rules: Settings, short: int, over: int) -> None:
    """TestGetWarmIPTargetState, of v1.5.7 too; TestGetWarmIPTargetStateWithPDenabled."""
    counted = count(held, rules)

    assert (pool.short(counted, rules), pool.over(counted, rules)) == (short, over)


def test_decrease_ip_pool() -> None:
    """TestDecreaseIPPool: two of four addresses have pods, one is to be warm; one goes, once."""
    rules = m5_large(warm_ip_target=1)
    held = store(eni(0, 2, 1), eni(1, 2, 1))

    (gone,) = run_pass(held, rules)

    assert isinstance(gone, UnassignAddresses)
    assert len(gone.addresses) == 1
    assert run_pass(store(eni(0, 2, 1), eni(1, 1, 1)), rules) == []


TRUNK, EFA = eni(4, 1, trunk=True), eni(5, 1, efa=True)
THREE = store(eni(0, 2, 2), eni(2, 2), eni(3, 1))
TWO = store(eni(0, 2, 2), eni(2, 2))
KEPT = store(eni(0, 2, 2), TRUNK, EFA)


@pytest.mark.parametrize(
    ("held", "warm_ips", "minimum_ips", "freed"),
    [
        (THREE, 3, 1, set()),
        (THREE, 1, 5, set()),
        (THREE, 2, 4, {"eni-3"}),
        (TWO, 0, 3, set()),
        (TWO, 0, 2, {"eni-2"}),
        (KEPT, 0, 2, set()),
        (store(*KEPT.enis, eni(6, 0)), 0, 2, {"eni-6"}),
    ],
)
def test_warm_eni_interactions(
    held: DataStore, warm_ips: int, minimum_ips: int, freed: set[str]
) -> None:
    """TestWarmENIInteractions: which ENIs may go."""
    rules = m5_large(warm_ip_target=warm_ips, minimum_ip_target=minimum_ips)

    assert {one.id for one in held.enis if pool.deletable(held, one, rules, NOW)} == freed


def test_freeable_eni_exists() -> None:
    """TestDataStore_CheckFreeableENIexists: neither the primary, a trunk nor an EFA ENI."""
    rules = prefixed()
    nothing = count(store(), rules)
    primary, secondary = blocks(0), blocks(1)

    assert not pool.has_spare_eni(nothing, store(), rules)
    assert not pool.has_spare_eni(nothing, store(primary), rules)
    assert not pool.has_spare_eni(nothing, store(primary, TRUNK, EFA), rules)
    assert pool.has_spare_eni(nothing, store(primary, secondary, TRUNK, EFA), rules)


def test_warm_target_with_excluded_primary() -> None:
    """TestIPAMContext_WarmTargetWithExcludedPrimary."""
    rules = of(10, warm_eni_target=2, max_pods=100)
    primary = eni(0, 0, excluded=True)
    held = [store(primary), store(primary, eni(1, 10)), store(primary, eni(1, 10), eni(2, 10))]

    assert [pool.too_low(count(one, rules), rules) for one in held] == [True, True, False]


def test_excluded_eni() -> None:
    """TestAssignPodIPv4AddressWithExcludedENI, TestGetIPStatsWithExcludedENI."""
    rules = m5_large()
    excluded = store(eni(0, 3, excluded=True))
    both = excluded.put(eni(1, 2))

    assert choose(excluded, rules, NOW) is None
    chosen = choose(both, rules, NOW)
    assert chosen is not None
    assert chosen[0].id == "eni-1"
    assert count(both, rules) == Stats(total=2, assigned=0, prefixes=0, free_prefixes=0)


def test_an_eni_stays_until_its_address_is_cool_and_it_is_old() -> None:
    """TestPodIPv4Address, its end: eni-2 is young, its address cools; then it goes."""
    rules = m5_large(warm_eni_target=0)
    used = eni(0, 2, 2)
    young = eni(1, 1, attached_at=NOW)
    cooling = eni(1, 1, released={eni(1, 1).free[0]: NOW - 1})

    assert not pool.deletable(store(used, young), young, rules, NOW)
    assert not pool.deletable(store(used, cooling), cooling, rules, NOW)
    assert pool.deletable(store(used, eni(1, 1)), eni(1, 1), rules, NOW)


@pytest.mark.parametrize(
    ("given", "taken"), [("", 0), ("10", 10), ("0", 0), ("-5", 0), ("invalid", 0), ("+3", 3)]
)
@pytest.mark.parametrize("variable", ["WARM_IP_TARGET", "MINIMUM_IP_TARGET"])
@pytest.mark.filterwarnings("ignore::testbed.errors.IgnoredSetting")
def test_targets_as_text(variable: str, given: str, taken: int) -> None:
    """TestGetMinimumIPTarget, TestGetWarmENITarget."""
    env = TypeAdapter(CniSettings).validate_python({variable: given})

    assert taken == (env.warm_ip_target or env.minimum_ip_target)


NO_MANAGE, INSTANCE = "node.k8s.amazonaws.com/no_manage", "node.k8s.amazonaws.com/instance_id"


@pytest.mark.parametrize(
    ("tags", "left_alone", "without_untagged"),
    [
        ({}, [], ["eni-1", "eni-2"]),
        ({"eni-0": {"hi": "tag", NO_MANAGE: "true"}}, [], ["eni-1", "eni-2"]),
        ({"eni-1": {NO_MANAGE: "true"}, "eni-2": {NO_MANAGE: "true"}}, ["eni-1", "eni-2"], None),
        ({"eni-1": {NO_MANAGE: "true"}, "eni-2": {NO_MANAGE: "false"}}, ["eni-1"], None),
        ({"eni-1": {NO_MANAGE: "true"}, "eni-2": {INSTANCE: "i-1"}}, ["eni-1"], None),
        ({"eni-1": {INSTANCE: "i-2"}, "eni-2": {INSTANCE: "i-1"}}, [], ["eni-1"]),
    ],
)
def test_filter_unmanaged_enis(
    tags: dict[str, dict[str, str]], left_alone: list[str], without_untagged: list[str] | None
) -> None:
    """TestIPAMContext_filterUnmanagedENIs, the same with disableManageUntaggedMode.

    EC2 tells of every ENI, also of those that have no tags.
    """

    def unmanaged(untagged: str, profile: str = "current") -> list[str]:
        asked = {**node(tags), "env": {"MANAGE_UNTAGGED_ENI": untagged}, "profile": profile}
        return list(answer(parse(json.dumps(asked), "state.json")).get("unmanaged", []))

    assert unmanaged("true") == left_alone
    assert unmanaged("false") == (left_alone if without_untagged is None else without_untagged)
    assert unmanaged("false", "slides") == []


def node(by_eni: dict[str, dict[str, str]], **of_eni_2: object) -> dict[str, Any]:
    enis: list[dict[str, Any]] = [
        {"id": f"eni-{index}", "deviceIndex": index, "tags": by_eni.get(f"eni-{index}", {})}
        for index in range(3)
    ]
    enis[2] |= {"assigned": ["10.0.2.1"], **of_eni_2}
    return {"instanceType": "m5.xlarge", "instanceId": "i-1", "enis": enis}


@pytest.mark.parametrize(
    ("of_eni_2", "room"),  # for one more ENI, where three are allowed
    [
        ({"tags": {NO_MANAGE: "true"}}, False),
        ({"efaOnly": True}, False),
        ({"networkCard": 1, "deviceIndex": 0}, True),
    ],
)
def test_enis_left_alone_count_for_nothing_but_the_limit(
    of_eni_2: dict[str, object], room: bool
) -> None:
    """TestFilterUnmanagedENIs_WithEFAOnlyENIs; those of another card do not even count."""
    asked = node({}, **of_eni_2)
    asked["imds"] = [{"id": "eni-2", "deviceIndex": 2, "addresses": ["10.0.2.1", "10.0.2.2"]}]
    asked["imds"] += [{"id": f"eni-{index}", "deviceIndex": index} for index in range(2)]
    asked["env"] = {"MAX_ENI": 3}
    asked["enis"][:2] = [full(index) for index in range(2)]

    found = answer(parse(json.dumps(asked), "state.json"))

    assert found["unmanaged"] == ["eni-2"]
    assert (found["total"], found["assigned"]) == (28, 28)
    assert not any(change["eni"] == "eni-2" for change in found["reconcile"])
    assert [one["action"] for one in found["decisions"]] == ["AttachEni"] * room


def full(index: int) -> dict[str, Any]:
    addresses = [f"10.0.{index}.{last}" for last in range(1, 15)]
    return {"id": f"eni-{index}", "deviceIndex": index, "assigned": addresses}
