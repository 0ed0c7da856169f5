"""A node's pool over time: AWS's worked example, cooldowns, and a subnet that is full."""

from ipaddress import IPv4Network

import pytest

from testbed.eks.ipamd.decisions import Refusal
from testbed.eks.ipamd.runs.timeline import Event, moment, timeline
from testbed.eks.ipamd.runs.words import row, words
from testbed.eks.model import EksCluster, EniConfig, Profile
from testbed.eks.rollout import with_settings
from testbed.errors import UsageError
from testbed.kubernetes.model import Node

BOTH = pytest.mark.parametrize("profile", ["slides", "current"])


def told(
    *story: str, profile: Profile = "current", subnet: str = "10.0.0.0/24", **env: str
) -> list[Event]:
    node = Node("node", "subnet", "m5.large")
    alone = EksCluster("", "", (node,), eni_configs=(EniConfig("default", "subnet"),))
    cluster = with_settings(alone, profile, env)
    return timeline(cluster, node, IPv4Network(subnet), map(moment, story))


def pools(events: list[Event]) -> list[tuple[float, str, int]]:
    return [(event.at_s, f"{event.total}/{event.assigned}", event.enis) for event in events]


@pytest.mark.parametrize(
    ("profile", "first", "freed"), [("slides", 2.5, 162.5), ("current", 0, 132.5)]
)
def test_the_worked_timeline_of_an_m5_large(profile: Profile, first: float, freed: float) -> None:
    """v1.23 fills the pool before the node is Ready, and frees an ENI when its addresses are cool.

    v1.5 starts with its first pass, and frees an ENI a minute after its last pod left.
    """
    events = told("10s=1", "20s=10", "30s=19", "40s=28", "100s=0", profile=profile)

    assert pools(events) == [
        (first, "9/0", 1),
        (10, "9/1", 1),
        (12.5, "18/1", 2),
        (20, "18/10", 2),
        (22.5, "27/10", 3),
        (30, "27/19", 3),
        (40, "27/27", 3),
        (100, "27/0", 3),
        (freed, "18/0", 2),
        (freed + 5, "9/0", 1),
    ]
    assert [event.waiting for event in events] == [0] * 6 + [1] + [0] * 3, "the 28th pod"
    assert words(events[-1].done[0]) == "detach and delete eth1"


@BOTH
def test_pods_made_again_at_once_wait_for_their_addresses_to_cool(profile: Profile) -> None:
    """Nothing is asked of EC2 meanwhile: cooling addresses count as available."""
    events = told("10s=9", "60s=0", "65s=9", profile=profile, MAX_ENI="1")

    waiting = [(event.at_s, event.waiting) for event in events if event.waiting]
    assert waiting == [(65, 9)]
    assert pools(events)[-1] == (92.5, "9/9", 1)
    assert {event.requests for event in events if event.at_s >= 60} == {events[1].requests}


@BOTH
def test_a_restart_forgets_which_addresses_cool_down(profile: Profile) -> None:
    """So a new pod has the address of one that is gone for five seconds: #1127."""
    events = told("10s=9", "60s=0", "65s=restart", "65s=9", profile=profile, MAX_ENI="1")

    assert [event.waiting for event in events if event.waiting] == []
    [restarted] = [event for event in events if event.restarted]
    assert row(restarted)["ipamd"] == "starts again"
    assert restarted.requests == events[1].requests, "all it needs is there"


def test_after_a_restart_its_enis_are_young_again() -> None:
    """None is freed for a minute, though addresses are cool."""

    def freed(*story: str) -> list[float]:
        events = told("10s=10", "60s=0", *story)
        return [event.at_s for event in events for one in event.done if "delete" in words(one)]

    assert freed() == [77.5, 92.5]
    assert freed("90s=restart") == [77.5, 152.5]


def test_a_full_subnet_is_asked_in_every_pass_by_v1_5_and_every_two_minutes_today() -> None:
    """The 75 requests are what EC2 throttles."""
    old = told("10s=12", profile="slides", subnet="10.0.0.0/28")
    new = told("10s=12", profile="current", subnet="10.0.0.0/28")

    assert (old[-1].requests, new[-1].requests) == (75, 2)
    assert old[-1].waiting == new[-1].waiting == 3
    assert (old[-1].enis, new[-1].enis) == (2, 1), "v1.5's new ENI took the last address"
    refused = new[-1].done[0]
    assert isinstance(refused, Refusal)
    assert words(refused) == (
        "attach an ENI with 9 addresses: refused (InsufficientFreeAddressesInSubnet)"
    )


def test_it_shrinks_every_30_seconds_at_most() -> None:
    """With a target of addresses; each time by all that is too much."""
    events = told("10s=6", "61s=3", "63s=0", WARM_IP_TARGET="1")

    done = [(event.at_s, words(one)) for event in events for one in event.done]
    assert [one for one in done if "-" in one[1]] == [
        (62.5, "eth0: -3 addresses"),
        (97.5, "eth0: -3 addresses"),
    ]


def test_a_small_target_takes_an_address_for_each_pod_one_pass_after_the_other() -> None:
    """One request for each; pods wait, and many nodes like that are throttled."""
    events = told("10s=4", WARM_IP_TARGET="1")

    assert [event.waiting for event in events] == [0, 3, 2, 1, 0, 0]
    assert events[-1].requests == 5


def test_with_prefixes_and_custom_networking_the_words_fit() -> None:
    events = told("10s=1", ENABLE_PREFIX_DELEGATION="true", AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG="1")

    assert [words(one) for event in events for one in event.done] == [
        "attach an ENI with 1 prefix",
        "eth1: +1 prefix",
    ]


@pytest.mark.parametrize(
    "written", ["10s", "10s=", "10s=-1", "10x=1", "=1", "1e9=1", "5=10001", "86401=1"]
)
def test_what_is_no_moment_is_refused(written: str) -> None:
    with pytest.raises(UsageError, match="such as 60s=12, or 65s=restart; found"):
        moment(written)


def test_a_subnet_has_a_size_that_aws_gives() -> None:
    with pytest.raises(UsageError, match="a subnet is a /16 to a /28"):
        told("10s=1", subnet="10.0.0.0/29")
