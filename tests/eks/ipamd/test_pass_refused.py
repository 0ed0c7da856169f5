"""ipamD's passes where a subnet is full: what is asked for next, and when again."""

import pytest

from testbed.eks.ipamd.decisions import AssignAddresses, AttachEni, Refusal
from testbed.eks.model import Profile
from tests.eks.ipamd.pools import NOW, eni, m5_large, run_pass, store

BOTH = pytest.mark.parametrize("profile", ["slides", "current"])

FULL = "InsufficientFreeAddressesInSubnet"


def refused(*requests: AssignAddresses | AttachEni) -> list[Refusal]:
    return [Refusal(request, FULL, f"0 addresses are free ({FULL})") for request in requests]


@BOTH
def test_a_subnet_without_room_for_all_is_asked_for_one(profile: Profile) -> None:
    first, second = run_pass(store(eni(0, 0)), m5_large(profile), free=3)

    assert isinstance(first, Refusal)
    assert first.code == FULL
    assert second == AssignAddresses("eni-0", 1)


@BOTH
def test_a_full_subnet_refuses_all_then_one_then_an_eni(profile: Profile) -> None:
    attach = AttachEni(9) if profile == "current" else AttachEni()

    assert run_pass(store(eni(0, 8, 8)), m5_large(profile), free=0) == refused(
        AssignAddresses("eni-0", 1), attach
    )


def test_every_eni_with_room_is_tried_for_it_may_be_in_another_subnet() -> None:
    pool = store(eni(0, 8, 8), eni(1, 8, 8))

    assert run_pass(pool, m5_large(), free=0) == refused(
        AssignAddresses("eni-0", 1), AssignAddresses("eni-1", 1), AttachEni(9)
    )


def test_without_subnet_discovery_the_first_refusal_is_the_last() -> None:
    pool = store(eni(0, 8, 8), eni(1, 8, 8))

    assert run_pass(pool, m5_large(subnet_discovery=False), free=0) == refused(
        AssignAddresses("eni-0", 1)
    )


@pytest.mark.parametrize(
    ("profile", "ago_s", "asks"),
    [("current", 120, False), ("current", 121, True), ("slides", 0, True)],
)
def test_after_a_full_subnet_nothing_is_asked_for_two_minutes(
    profile: Profile, ago_s: float, asks: bool
) -> None:
    """v1.5 asks in every pass, every 5 s, until EC2 throttles it."""
    pool = store(eni(0, 9, 9))

    assert bool(run_pass(pool, m5_large(profile), refused_at=NOW - ago_s)) == asks
