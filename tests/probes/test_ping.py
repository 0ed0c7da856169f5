"""ping: replies, silence, and what kernels say instead."""

from ipaddress import IPv4Address
from typing import Any

import pytest

from testbed.errors import KernelError
from testbed.probes.outcome import Row, Target
from testbed.probes.ping import BURST, ping, sweep
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel


def test_a_reply_to_every_request(star: Any) -> None:
    bed = star(2)

    result = ping(bed.store, "pod-0", bed.address("pod-1"), count=3)

    assert (result.sent, result.received, result.errors) == (3, 3, ())
    assert len(result.rtt_ms) == 3
    assert all(0 < rtt < 1000 for rtt in result.rtt_ms)


def test_silence_is_loss(star: Any) -> None:
    bed = star(2)
    bed.drop("pod-1")

    result = ping(bed.store, "pod-0", bed.address("pod-1"), count=2, timeout_s=0.1)

    assert (result.sent, result.received, result.rtt_ms, result.errors) == (2, 0, (), ())


def test_a_router_on_the_way_says_why(star: Any) -> None:
    bed = star(2)
    bed.ip("router", "route replace unreachable 10.0.0.2")

    result = ping(bed.store, "pod-0", bed.address("pod-1"))

    assert result.errors == ("Destination Host Unreachable, says 10.255.0.1",)


def test_the_source_itself_has_no_route(star: Any) -> None:
    bed = star(1)
    bed.ip("pod-0", "route delete default")

    result = ping(bed.store, "pod-0", IPv4Address("203.0.113.10"))

    assert result.errors == ("Network is unreachable",)


def test_a_reply_from_another_address_is_no_reply(star: Any) -> None:
    """A translation that is not undone on the way back: `ping` would not count it either."""
    bed = star(2)
    bed.run(
        "router",
        "nft",
        "-f",
        "-",
        text=(
            "add table ip t; add chain ip t raw { type filter hook prerouting priority -300; };"
            "add rule ip t raw icmp type echo-reply ip saddr set 10.7.7.7"
        ),
    )

    result = ping(bed.store, "pod-0", bed.address("pod-1"), timeout_s=0.1)

    assert result.received == 0


def test_there_is_no_such_namespace(star: Any) -> None:
    with pytest.raises(KernelError, match="no namespace 'pod-7'"):
        ping(star(1).store, "pod-7", IPv4Address("10.0.0.1"))


def test_a_row_longer_than_a_burst_is_answered_whole(star: Any) -> None:
    bed = star(2)
    row = Row("pod-0", [Target.of(bed.address("pod-1"))] * (2 * BURST + 1))

    [outcomes] = sweep(bed.store, [row], timeout_s=PATIENCE_S)

    assert {outcome.verdict for outcome in outcomes} == {"delivered"}


def test_a_refusal_in_the_middle_of_a_burst_is_its_own(star: Any) -> None:
    """sendmmsg stops at it; those behind it are sent all the same."""
    bed = star(3)
    bed.ip("pod-0", f"route add prohibit {bed.address('pod-1')}")
    pods = ("pod-2", "pod-1", "pod-1", "pod-2")

    [outcomes] = sweep(
        bed.store,
        [Row("pod-0", [Target.of(bed.address(pod)) for pod in pods])],
        timeout_s=PATIENCE_S,
    )

    assert [outcome.verdict for outcome in outcomes] == [
        "delivered",
        "unreachable",
        "unreachable",
        "delivered",
    ]
