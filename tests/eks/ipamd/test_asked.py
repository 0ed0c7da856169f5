"""ipamD asked with JSON: its decisions along a day of a node."""

import json
from ipaddress import IPv4Address
from typing import Any

import pytest

from testbed.eks.ipamd.asked.answer import answer
from testbed.eks.ipamd.asked.read import parse

BOTH = pytest.mark.parametrize("profile", ["slides", "current"])
State = dict[str, Any]


def asked(state: State) -> State:
    return answer(parse(json.dumps(state), "state.json"))


def addresses(eni: int, first: int, count: int) -> list[str]:
    """Addresses that EC2 gives: 10.0.0.x for eni-0, 10.0.1.x for eni-1."""
    return [str(IPv4Address("10.0.0.0") + 256 * eni + 1 + first + i) for i in range(count)]


def eni(state: State, eni_id: str) -> State:
    return next(one for one in state["enis"] if one["id"] == eni_id)


def carry_out(state: State, decision: State) -> None:
    """What EC2 makes of a decision."""
    match decision["action"]:
        case "AssignAddresses":
            chosen = eni(state, decision["eni"])
            taken = len(chosen["free"]) + len(chosen["assigned"])
            chosen["free"] += addresses(chosen["deviceIndex"], taken, decision["count"])
        case "AttachEni":
            index = len(state["enis"])
            given = addresses(index, 0, decision["addresses"])
            attach(state, index, given)
        case "FreeEni":
            state["enis"].remove(eni(state, decision["eni"]))


def attach(state: State, index: int, free: list[str]) -> None:
    entry = {"id": f"eni-{index}", "deviceIndex": index, "free": free, "assigned": []}
    state["enis"].append(entry)


def settle(state: State) -> list[str]:
    """Carry decisions out until there is none; what they were."""
    actions = []
    while decisions := asked(state)["decisions"]:
        actions.append(decisions[0]["action"])
        carry_out(state, decisions[0])
    return actions


def add_pods(state: State, count: int) -> None:
    for _ in range(count):
        chosen = asked(state)["nextPod"]
        entry = eni(state, chosen["eni"])
        entry["free"].remove(chosen["address"])
        entry["assigned"].append(chosen["address"])
        settle(state)


def pool(state: State) -> tuple[int, int, int]:
    """Total, assigned, ENIs."""
    found = asked(state)
    return found["total"], found["assigned"], len(state["enis"])


@BOTH
def test_the_pool_of_an_m5_large_over_a_day(profile: str) -> None:
    """3 ENIs with 9 secondary addresses each; WARM_ENI_TARGET is 1, the default."""
    state: State = {"profile": profile, "instanceType": "m5.large", "enis": []}
    attach(state, 0, [])

    assert asked(state)["decisions"] == [{"action": "AssignAddresses", "eni": "eni-0", "count": 9}]
    settle(state)
    assert pool(state) == (9, 0, 1), "an empty node attaches no warm ENI: 9 < 9 is false"

    add_pods(state, 1)
    assert pool(state) == (18, 1, 2)

    add_pods(state, 8)
    assert pool(state) == (18, 9, 2)

    add_pods(state, 1)
    assert pool(state) == (27, 10, 3)

    add_pods(state, 9)
    assert pool(state) == (27, 19, 3), "too few are free, but there is no fourth ENI"

    add_pods(state, 8)
    assert pool(state) == (27, 27, 3)
    assert asked(state)["nextPod"] is None, "the 28th pod gets no address"

    for one in state["enis"]:
        one["free"], one["assigned"] = one["free"] + one["assigned"], []
    totals = []
    while decisions := asked(state)["decisions"]:
        [decision] = decisions
        assert decision["action"] == "FreeEni"
        carry_out(state, decision)
        totals.append(pool(state))
    assert totals == [(18, 0, 2), (9, 0, 1)], "9 >= 18 is false: the last one stays"


def test_an_eni_attached_just_now_is_not_freed() -> None:
    state: State = {"instanceType": "m5.large", "enis": []}
    for index in range(3):
        attach(state, index, addresses(index, 0, 9))
    eni(state, "eni-2")["attachedSecondsAgo"] = 59

    assert asked(state)["decisions"] == [{"action": "FreeEni", "eni": "eni-1"}]


def test_settings_are_those_of_aws_node() -> None:
    state: State = {"instanceType": "m5.large", "enis": [], "env": {"WARM_IP_TARGET": 2}}
    attach(state, 0, addresses(0, 0, 5))

    found = asked(state)

    assert found["decisions"] == [
        {
            "action": "UnassignAddresses",
            "eni": "eni-0",
            "addresses": ["10.0.0.3", "10.0.0.4", "10.0.0.5"],
        }
    ]
    assert found["nextPod"] == {"eni": "eni-0", "address": "10.0.0.1"}
    assert found["limits"] == {"enis": 3, "addressesPerEni": 9, "maxPods": 29}
    assert (found["total"], found["assigned"], found["available"]) == (5, 0, 5)


def test_an_address_given_back_is_free_but_waits() -> None:
    """It need not be under `free` as well."""
    state: State = {"instanceType": "m5.large", "enis": []}
    attach(state, 0, ["10.0.0.2"])
    eni(state, "eni-0")["released"] = {"10.0.0.1": 30, "10.0.0.2": 31}

    found = asked(state)

    assert (found["total"], found["available"]) == (2, 2)
    assert found["nextPod"] == {"eni": "eni-0", "address": "10.0.0.2"}


def test_prefixes_are_counted_where_they_are_delegated() -> None:
    prefix = {"assigned": ["10.0.1.16"], "released": {"10.0.1.17": 5, "10.0.1.20": 40}}
    entry = {"id": "eni-0", "deviceIndex": 0, "prefixes": {"10.0.1.16/28": prefix}}
    env = {"ENABLE_PREFIX_DELEGATION": "true"}
    state = {"instanceType": "m5.large", "enis": [entry], "env": env}

    found = asked(state)

    assert found["prefixes"] == {"total": 1, "free": 0}
    assert found["limits"] == {"enis": 3, "addressesPerEni": 144, "maxPods": 110}
    assert found["pool"]["unit"] == "prefixes"
    assert found["pool"]["tooLow"], "15 < 16"
    assert found["nextPod"] == {"eni": "eni-0", "address": "10.0.1.20"}
    assert found["decisions"] == [{"action": "AssignPrefixes", "eni": "eni-0", "count": 1}]


def test_an_instance_type_without_prefixes_falls_back_to_addresses() -> None:
    """Xen: m4.large."""
    entry = {"id": "eni-0", "deviceIndex": 0}
    env = {"ENABLE_PREFIX_DELEGATION": "true"}
    state = {"instanceType": "m4.large", "enis": [entry], "env": env}

    assert asked(state)["decisions"] == [{"action": "AssignAddresses", "eni": "eni-0", "count": 9}]


@BOTH
def test_addresses_of_pods_that_are_gone_stay_assigned(profile: str) -> None:
    """amazon-vpc-cni-k8s #1204: DEL never came.  EC2 is asked for nothing: ipamD sees 27 pods."""
    lost = [{"id": f"eni-{i}", "deviceIndex": i, "assigned": addresses(i, 0, 9)} for i in range(3)]
    state = {"instanceType": "m5.large", "profile": profile, "enis": lost}

    found = asked(state)
    assert (found["total"], found["assigned"], found["available"]) == (27, 27, 0)
    assert (found["nextPod"], found["decisions"]) == (None, [])

    lost[2] |= {"free": lost[2].pop("assigned")}
    assert asked(state)["nextPod"]["eni"] == "eni-2", "control: what somebody gave back"


def test_a_full_subnet_shows_what_is_refused() -> None:
    state: State = {"instanceType": "m5.large", "subnetFree": 1, "enis": []}
    attach(state, 0, [])

    assert asked(state)["decisions"] == [
        {
            "action": "AssignAddresses",
            "eni": "eni-0",
            "count": 9,
            "refused": "InsufficientFreeAddressesInSubnet",
        },
        {"action": "AssignAddresses", "eni": "eni-0", "count": 1},
    ]


def test_with_what_the_metadata_lists_it_says_what_reconciling_changes() -> None:
    """A pod's address that EC2 took away is removed, and the pod does not know."""
    entry = {"id": "eni-0", "deviceIndex": 0, "assigned": ["10.0.0.1"], "free": ["10.0.0.2"]}
    listed = {"id": "eni-0", "deviceIndex": 0, "addresses": ["10.0.0.2", "10.0.0.3"]}
    state: State = {"instanceType": "m5.large", "enis": [entry], "imds": [listed]}

    assert asked(state)["reconcile"] == [
        {"action": "Added", "eni": "eni-0", "cidrs": ["10.0.0.3"]},
        {"action": "Removed", "eni": "eni-0", "cidrs": ["10.0.0.1"], "pods": ["10.0.0.1"]},
    ]
    assert asked(state | {"actedSecondsAgo": 60})["reconcile"] == []
    assert asked(state | {"ec2Fails": True})["reconcile"] == []
    assert asked(state | {"returned": {"10.0.0.3": 59}})["reconcile"][0]["action"] == "Removed"
    assert "reconcile" not in asked({"instanceType": "m5.large", "enis": [entry]})
