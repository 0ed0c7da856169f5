"""Reconciling with the instance metadata: whom each release believes, and who loses what."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from testbed.eks.ipamd.datastore.store import DataStore, PoolEni
from testbed.eks.ipamd.reconcile import (
    Added,
    Attached,
    Change,
    Cidrs,
    EniAdded,
    EniRemoved,
    Listed,
    Removed,
    reconcile,
)
from testbed.eks.model import Profile
from tests.eks.ipamd.pools import NOW, blocks, eni, m5_large, prefixed, store

BOTH = pytest.mark.parametrize("profile", ["slides", "current"])


def cidrs(*written: str) -> Cidrs:
    """Addresses and prefixes."""
    return frozenset(IPv4Network(one) if "/" in one else IPv4Address(one) for one in written)


def changes(
    pool: DataStore, profile: Profile, imds: dict[str, Cidrs], **more: object
) -> list[Change]:
    listed = tuple(Listed(name, int(name[-1]), held) for name, held in imds.items())
    attached = Attached(imds=listed, **({"ec2": imds} | more))  # type: ignore[arg-type]
    return reconcile(pool, m5_large(profile), attached, NOW)[1]


ONE, TWO, THREE = (cidrs(f"10.0.0.{i}") for i in (1, 2, 3))


@BOTH
def test_nothing_differs_nothing_changes(profile: Profile) -> None:
    assert changes(store(eni(0, 2, 1)), profile, {"eni-0": ONE | TWO}) == []


@BOTH
def test_what_is_attached_and_not_in_the_store_comes_in(profile: Profile) -> None:
    assert changes(store(eni(0, 2)), profile, {"eni-0": ONE | TWO | THREE}) == [
        Added("eni-0", THREE)
    ]


@BOTH
def test_what_is_not_attached_goes_if_no_pod_has_it(profile: Profile) -> None:
    assert changes(store(eni(0, 2)), profile, {"eni-0": ONE}) == [Removed("eni-0", TWO)]


def test_today_a_pod_s_address_goes_too_when_ec2_says_so() -> None:
    """v1.5 keeps what a pod has, and v1.23 keeps it only if EC2 knows it."""
    pool = store(eni(0, 2, 1))
    lost = frozenset([IPv4Address("10.0.0.1")])

    assert changes(pool, "current", {"eni-0": TWO}) == [Removed("eni-0", ONE, lost)]
    assert changes(pool, "current", {"eni-0": TWO}, ec2={"eni-0": ONE | TWO}) == []
    assert changes(pool, "slides", {"eni-0": TWO}) == []


def test_metadata_that_lags_behind_costs_v1_5_its_unused_addresses() -> None:
    stale, truth = {"eni-0": ONE}, {"eni-0": ONE | TWO}

    assert changes(store(eni(0, 2)), "slides", stale, ec2=truth) == [Removed("eni-0", TWO)]
    assert changes(store(eni(0, 2)), "current", stale, ec2=truth) == []


def test_without_ec2_s_answer_the_eni_is_left_alone() -> None:
    assert changes(store(eni(0, 2)), "current", {"eni-0": ONE}, ec2=None) == []


def test_an_empty_answer_is_believed_by_v1_5_alone() -> None:
    """Of a node with pods, it loses the ENIs that no pod uses."""
    pool = store(eni(0, 2, 1), eni(1, 2))

    assert changes(pool, "current", {}) == []
    assert changes(pool, "slides", {}) == [EniRemoved("eni-1")]


def test_an_eni_that_somebody_detached_takes_its_pods_along() -> None:
    pool = store(eni(0, 2), eni(1, 2, 1))
    lost = frozenset([IPv4Address("10.0.1.1")])

    assert changes(pool, "current", {"eni-0": ONE | TWO}) == [EniRemoved("eni-1", lost)]
    assert changes(pool, "slides", {"eni-0": ONE | TWO}) == []


@BOTH
def test_an_eni_that_somebody_attached_is_used_and_young(profile: Profile) -> None:
    imds = (Listed("eni-0", 0), Listed("eni-1", 1, ONE))

    after, found = reconcile(store(eni(0, 0)), m5_large(profile), Attached(imds=imds, ec2={}), NOW)

    assert found == [EniAdded("eni-1", ONE)]
    assert after.eni("eni-1") == PoolEni("eni-1", 1, (IPv4Address("10.0.0.1"),), attached_at=NOW)


@BOTH
@pytest.mark.parametrize(
    ("ago_s", "ec2", "comes"),
    [(59, ONE, False), (60, ONE, True), (60, cidrs(), False)],
)
def test_what_was_given_back_is_not_taken_up_again_at_once(
    profile: Profile, ago_s: float, ec2: Cidrs, comes: bool
) -> None:
    """The metadata may still list it; after a minute EC2 is asked."""
    returned = {IPv4Address("10.0.0.1"): NOW - ago_s}

    found = changes(
        store(eni(0, 0)), profile, {"eni-0": ONE}, ec2={"eni-0": ec2}, returned=returned
    )

    assert found == ([Added("eni-0", ONE)] if comes else [])


def test_prefixes_are_reconciled_like_addresses() -> None:
    pool = store(blocks(0, 1, 0))
    known, lost, new = (f"10.1.0.{base}/28" for base in (0, 16, 32))
    attached = Attached(
        imds=(Listed("eni-0", 0, cidrs(known, new)),), ec2={"eni-0": cidrs(known, new)}
    )

    after, found = reconcile(pool, prefixed(), attached, NOW)

    assert found == [Added("eni-0", cidrs(new)), Removed("eni-0", cidrs(lost))]
    assert [str(prefix.cidr) for prefix in after.enis[0].prefixes] == [known, new]
    assert after.enis[0].prefixes[0].assigned, "its pod has its address on"
