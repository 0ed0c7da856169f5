"""matrix: every pair, what is expected of it, and what its silence is worth."""

import resource
import time
from dataclasses import replace
from typing import Any

import pytest

from testbed.probes.matrix import Asked, Result, matrix

pytestmark = pytest.mark.kernel

PROTOCOLS = pytest.mark.parametrize("protocol", ["icmp", "tcp", "http"])
TIMEOUT_S = 0.3


@PROTOCOLS
def test_all_pairs_of_seventy_pods(star: Any, serving: Any, protocol: Any) -> None:
    bed = star(70)

    with serving(bed, bed.listeners()):
        result = matrix(bed.store, bed.endpoints(), protocol)

    assert (result.pairs, result.ok) == (70 * 69, 70 * 69)
    assert result.to_json()["failed"] == []
    assert result.to_json()["inconclusive"] == []


@PROTOCOLS
def test_a_pair_that_should_work_and_does_not_fails(
    star: Any, serving: Any, protocol: Any
) -> None:
    bed = star(3)
    bed.block("pod-0", "pod-2")

    with serving(bed, bed.listeners()):
        result = matrix(bed.store, bed.endpoints(), protocol, timeout_s=TIMEOUT_S)

    silent = {
        "from": "pod-0",
        "to": "pod-2",
        "protocol": protocol,
        "expected": "delivered",
        "observed": "timeout",
        "reason": "no answer",
    }
    # the drop is met by requests of pod-0 and by its answers to pod-2 alike
    back = {**silent, "from": "pod-2", "to": "pod-0"}
    assert result.to_json()["failed"] == [silent, back]
    assert (result.pairs, result.ok, result.inconclusive) == (6, 4, ())


@PROTOCOLS
def test_a_blocked_pair_counts_when_both_ends_were_heard(
    star: Any, serving: Any, protocol: Any
) -> None:
    bed = star(3)
    bed.block("pod-0", "pod-2")
    expected: dict[Asked, Result] = {
        ("pod-0", "pod-2", protocol): "blocked",
        ("pod-2", "pod-0", protocol): "blocked",
    }

    with serving(bed, bed.listeners()):
        result = matrix(bed.store, bed.endpoints(), protocol, expected, timeout_s=TIMEOUT_S)

    assert (result.pairs, result.ok, result.failed, result.inconclusive) == (6, 6, (), ())


@PROTOCOLS
def test_control_probes_speak_for_pods_that_are_blocked_from_everybody(
    star: Any, serving: Any, protocol: Any
) -> None:
    """Two pods alone: no other pair can prove them alive and able to send."""
    bed = star(2)
    bed.block("pod-0", "pod-1")

    with serving(bed, bed.listeners()):
        result = matrix(
            bed.store, bed.endpoints(), protocol, lambda *_: "blocked", timeout_s=TIMEOUT_S
        )

    assert (result.pairs, result.ok, result.failed, result.inconclusive) == (2, 2, (), ())


@PROTOCOLS
def test_a_dead_destination_is_not_a_blocked_one(star: Any, serving: Any, protocol: Any) -> None:
    """Everybody's probe of it is unanswered, its node's too: nothing is proven."""
    bed = star(3)
    bed.ip("pod-2", "link set eth0 down")

    def expected(source: str, destination: str, protocol: str) -> Result:
        return "blocked" if "pod-2" in (source, destination) else "delivered"

    with serving(bed, bed.listeners()):
        result = matrix(bed.store, bed.endpoints(), protocol, expected, timeout_s=TIMEOUT_S)

    assert (result.pairs, result.ok, result.failed) == (6, 2, ())
    assert [(one.source, one.destination, one.reason) for one in result.inconclusive] == [
        ("pod-0", "pod-2", "pod-2 answers nobody, not even router: is it alive?"),
        ("pod-1", "pod-2", "pod-2 answers nobody, not even router: is it alive?"),
        ("pod-2", "pod-0", "nobody answers pod-2, not even 10.255.0.1: can it send at all?"),
        ("pod-2", "pod-1", "nobody answers pod-2, not even 10.255.0.1: can it send at all?"),
    ]


@pytest.mark.parametrize("protocol", ["tcp", "http"])
def test_a_server_that_is_down_is_not_a_blocked_one(
    star: Any, serving: Any, protocol: Any
) -> None:
    """The port is refused to everybody, the node's control probe too."""
    bed = star(2)

    with serving(bed, bed.listeners("pod-0")):
        result = matrix(
            bed.store,
            bed.endpoints(),
            protocol,
            {("pod-0", "pod-1", protocol): "blocked"},
            timeout_s=TIMEOUT_S,
        )

    assert (result.ok, result.failed) == (1, ())
    [finding] = result.inconclusive
    assert (finding.destination, finding.observed) == ("pod-1", "refused")


def test_without_a_control_nothing_is_proven(star: Any, serving: Any) -> None:
    """A hostNetwork pod is its node: it has no other one to be seen from."""
    bed = star(2)
    bed.block("pod-0", "pod-1")
    endpoints = bed.endpoints(control_netns="", control_address=None)

    result = matrix(bed.store, endpoints, "icmp", lambda *_: "blocked", timeout_s=TIMEOUT_S)

    assert (result.pairs, result.ok, len(result.inconclusive)) == (2, 0, 2)
    assert result.inconclusive[0].reason == (
        "pod-1 answers nobody, no control probe: is it alive?"
    )


@PROTOCOLS
def test_a_pair_that_should_be_blocked_and_is_not_fails(
    star: Any, serving: Any, protocol: Any
) -> None:
    bed = star(2)

    with serving(bed, bed.listeners()):
        result = matrix(
            bed.store, bed.endpoints(), protocol, {("pod-0", "pod-1", protocol): "blocked"}
        )

    [finding] = result.failed
    assert (finding.source, finding.expected, finding.observed) == (
        "pod-0",
        "blocked",
        "delivered",
    )
    assert result.ok == 1


def test_an_answer_of_another_pod_is_not_delivery(star: Any, serving: Any) -> None:
    """A translation that sends everything to one pod: TCP alone would be content with it."""
    bed = star(3)
    bed.run(
        "router",
        "nft",
        "-f",
        "-",
        text=(
            "add table ip t; add chain ip t pre { type nat hook prerouting priority -100; };"
            "add rule ip t pre ip saddr 10.0.0.1 dnat to 10.0.0.3"
        ),
    )

    with serving(bed, bed.listeners()):
        result = matrix(bed.store, bed.endpoints(), "http")

    [finding] = result.failed
    assert (finding.source, finding.destination) == ("pod-0", "pod-1")
    assert finding.observed == "misdelivered"
    assert finding.reason == "pod-2 answered"


def test_pods_of_one_namespace_are_one_place(star: Any) -> None:
    bed = star(2)
    first, second = bed.endpoints()
    guest = replace(first, name="guest")

    result = matrix(bed.store, [first, guest, second])

    assert (result.pairs, result.ok) == (4, 4)


def test_who_serves_nothing_is_no_destination(star: Any, serving: Any) -> None:
    bed = star(2)
    first, second = bed.endpoints()

    with serving(bed, bed.listeners()):
        result = matrix(bed.store, [first, replace(second, http_port=0)], "http")

    assert (result.pairs, result.ok) == (1, 1)


@PROTOCOLS
def test_all_denied_pairs_share_one_deadline(star: Any, serving: Any, protocol: Any) -> None:
    bed = star(30)
    bed.run(
        "router",
        "nft",
        "-f",
        "-",
        text=(
            "add table ip t; add chain ip t forward { type filter hook forward priority 0; };"
            "add rule ip t forward drop"
        ),
    )

    with serving(bed, bed.listeners()):
        began = time.monotonic()
        result = matrix(
            bed.store, bed.endpoints(), protocol, lambda *_: "blocked", timeout_s=TIMEOUT_S
        )
        seconds = time.monotonic() - began

    assert (result.pairs, result.ok) == (870, 870)
    assert seconds < 870 * TIMEOUT_S / 2, "one after the other"


def test_few_descriptors_are_enough_for_many_silent_pairs(star: Any) -> None:
    """A daemon holds thousands of listening sockets; a probe takes a part of what may be open."""
    bed = star(14)
    for pod in bed.pods:
        bed.drop(pod)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    resource.setrlimit(resource.RLIMIT_NOFILE, (160, hard))
    try:
        result = matrix(bed.store, bed.endpoints(), "tcp", timeout_s=0.15)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert (result.pairs, len(result.failed)) == (182, 182)
