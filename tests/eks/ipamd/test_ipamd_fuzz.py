"""Whatever ipamD is asked, the answer keeps EC2's limits, or is one clear error."""

import json
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.eks.ipamd.asked.answer import answer
from testbed.eks.ipamd.asked.read import parse
from testbed.eks.ipamd.runs.timeline import Event, Moment, timeline
from testbed.eks.model import EksCluster, EniConfig, Profile
from testbed.eks.rollout import with_settings
from testbed.errors import DescriptionError
from testbed.kubernetes.model import Node

TYPES = {"t3.nano": (2, 1), "t3.small": (3, 3), "m5.large": (3, 9), "m4.large": (2, 9)}
SMALL = st.integers(0, 40).map(str)
ENV = st.fixed_dictionaries(
    {},
    optional={
        "WARM_ENI_TARGET": SMALL,
        "WARM_IP_TARGET": SMALL,
        "MINIMUM_IP_TARGET": SMALL,
        "WARM_PREFIX_TARGET": SMALL,
        "MAX_ENI": SMALL,
        "IP_COOLDOWN_PERIOD": SMALL,
        "ENABLE_PREFIX_DELEGATION": st.sampled_from(["true", "false"]),
        "ENABLE_SUBNET_DISCOVERY": st.sampled_from(["true", "false"]),
        "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": st.sampled_from(["true", "false"]),
    },
)
STORIES = st.lists(
    st.builds(Moment, st.integers(0, 200).map(float), st.integers(0, 60)), max_size=5
)
PROFILES: st.SearchStrategy[Profile] = st.sampled_from(["slides", "current"])


def told(profile: Profile, kind: str, length: int, env: dict[str, str], story: Any) -> list[Event]:
    node = Node("node", "subnet", kind)
    alone = EksCluster("", "", (node,), eni_configs=(EniConfig("default", "subnet"),))
    cluster = with_settings(alone, profile, env)
    return timeline(cluster, node, IPv4Network((int(IPv4Address("10.0.0.0")), length)), story)


@settings(deadline=None, max_examples=60)
@given(PROFILES, st.sampled_from(sorted(TYPES)), st.integers(24, 28), ENV, STORIES)
def test_a_story_keeps_ec2_s_limits_and_loses_no_pod(
    profile: Profile, kind: str, length: int, env: dict[str, str], story: list[Moment]
) -> None:
    most_enis, slots = TYPES[kind]
    for event in told(profile, kind, length, env, story):
        assert 1 <= event.enis <= most_enis
        assert event.total <= most_enis * slots * 16
        assert event.pods == event.waiting + event.assigned
        assert event.available == event.total - event.assigned >= 0
        assert event.total <= 2 ** (32 - length), "the subnet has no more"


SECONDS = st.one_of(st.integers(0, 200), st.floats(-1, 1e9), st.none())
AGES = st.lists(st.integers(0, 100), max_size=3)  # of addresses that pods gave back
BLOCK = st.tuples(st.integers(0, 13), AGES)  # of a prefix: addresses of pods, and ages
FLAGS = st.fixed_dictionaries(
    {},
    optional={
        "attachedSecondsAgo": SECONDS,
        "trunk": st.booleans(),
        "efa": st.booleans(),
        "efaOnly": st.booleans(),
        "tags": st.dictionaries(
            st.sampled_from(["node.k8s.amazonaws.com/no_manage", "Name"]), st.just("true")
        ),
        "excluded": st.booleans(),
        "deviceIndex": st.integers(0, 3),
    },
)
PARTS = st.tuples(st.integers(0, 4), st.integers(0, 4), AGES, st.lists(BLOCK, max_size=2), FLAGS)
ENIS = st.lists(PARTS, max_size=3).map(
    lambda enis: [eni(number, *parts) for number, parts in enumerate(enis)]
)


def eni(
    number: int,
    free: int,
    assigned: int,
    ages: list[int],
    blocks: list[tuple[int, list[int]]],
    flags: dict[str, Any],
) -> dict[str, Any]:
    """An ENI that can be, but for what `flags` say; they may also change its device index."""
    address = [f"10.0.{number}.{last}" for last in range(1, 12)]
    prefixes = {}
    for i, (pods, gone) in enumerate(blocks):
        cidr = IPv4Network(f"10.1.{number}.{16 * i}/28")
        released = {str(cidr[pods + j]): age for j, age in enumerate(gone)}
        prefixes[str(cidr)] = {
            "assigned": [str(cidr[j]) for j in range(pods)],
            "released": released,
        }
    return {
        "id": f"eni-{number}",
        "deviceIndex": number,
        "free": address[:free],
        "assigned": address[free : free + assigned],
        "released": dict(zip(address[free + assigned :], ages, strict=False)),
        "prefixes": prefixes,
        **flags,
    }


ADDRESSES = st.integers(1, 30).map(lambda last: f"10.0.0.{last}")
LISTED = st.fixed_dictionaries(
    {"id": st.sampled_from(["eni-0", "eni-1", "eni-2"]), "deviceIndex": st.integers(0, 2)},
    optional={"addresses": st.lists(ADDRESSES, max_size=4), "prefixes": st.just(["10.0.0.16/28"])},
)
STATES = st.fixed_dictionaries(
    {"instanceType": st.sampled_from(["m5.large", *sorted(TYPES)]), "enis": ENIS},
    optional={
        "profile": PROFILES,
        "env": ENV,
        "maxPods": st.integers(0, 40),
        "subnetFree": st.integers(0, 20),
        "refusedSecondsAgo": SECONDS,
        "decreasedSecondsAgo": SECONDS,
        "unmanagedEnis": st.integers(0, 3),
        "cordoned": st.booleans(),
        "imds": st.lists(LISTED, max_size=2),
        "ec2": st.lists(LISTED, max_size=2),
        "ec2Fails": st.booleans(),
        "returned": st.dictionaries(ADDRESSES, st.integers(0, 90), max_size=2),
    },
)


def refusal(state: dict[str, Any]) -> str:
    """Why a state cannot be; empty if it can."""
    try:
        parse(json.dumps(state), "state.json")
    except DescriptionError as error:
        return str(error)
    return ""


@settings(deadline=None, max_examples=150)
@given(STATES)
def test_a_state_is_answered_or_refused_in_one_line(state: dict[str, Any]) -> None:
    if refused := refusal(state):
        assert refused.startswith("state.json")
        assert "\n" not in refused
        return
    found = answer(parse(json.dumps(state), "state.json"))
    most_enis, slots = TYPES[state["instanceType"]]
    attached = sum(one["action"] == "AttachEni" for one in found["decisions"])
    assert len(state["enis"]) + attached <= max(most_enis, len(state["enis"]))
    assert all(1 <= one.get("count", 1) <= slots for one in found["decisions"])
    assert json.dumps(found)
