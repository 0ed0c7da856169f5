"""Packets that are too big: who says so, who drops them in silence, and that it was predicted."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.load import parse
from testbed.net.facts import Veth
from tests.routing.cni.breaking import dies, instead, works
from tests.routing.cni.conftest import Explain, Explained
from tests.routing.cni.conftest import explain as explain
from tests.routing.cni.conftest import observer as observer
from tests.routing.networks.test_mtu import LAB, STEPS

pytestmark = pytest.mark.kernel

# Who finds a packet too big that is one byte larger than the largest, and whether its sender hears
FINDS = {
    "beside": ("app", False),
    "same-region": ("app", False),
    "other-region": ("vpc-main", True),
    "by-dx": ("vgw-main", False),
    "by-vpn": ("vgw-main", False),
    "203.0.113.10": ("vpc-main", True),
}


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    with bring_up(parse(LAB, "mtu.yaml")) as up:
        yield up


def ping(explain: Explain, to: str, size: int, source: str = "app") -> Explained:
    return explain(source, to, protocol="icmp", size=size)


@pytest.mark.parametrize("to", STEPS)
def test_a_step_in_mtu_is_found_where_it_is(explain: Explain, to: str) -> None:
    largest, _ = STEPS[to]
    finds, told = FINDS[to]

    assert works(ping(explain, to, largest))
    seen = ping(explain, to, largest + 1)

    assert seen.difference is None
    assert (seen.observed.there.end.ns, seen.observed.there.end.code) == (finds, "X_MTU_EXCEEDED")
    assert f"at most {largest} bytes" in seen.observed.there.end.text
    back = seen.observed.back
    assert bool(back and back.end.delivered) == told


@pytest.mark.parametrize("end", ["beside", "vpc-main"])
def test_a_link_whose_ends_differ_drops_in_silence(bed: Bed, explain: Explain, end: str) -> None:
    """A link takes four bytes more than its MTU, the room of a VLAN's tag; behind them nobody is.

    At the instance its own interface is the narrow one, in the VPC the bridge's port before it.
    """
    inner = bed.fact(Veth, ns="beside", name="eth0")
    narrow = inner if end == "beside" else bed.fact(Veth, ns=end, name=inner.peer)

    with instead(bed, narrow, replace(narrow, mtu=1500)):
        assert works(ping(explain, "beside", 1504))
        seen = ping(explain, "beside", 1505)
        assert dies(seen, "vpc-main", "X_MTU_MISMATCH")
        assert f"{narrow.name} of {end} takes at most 1500 bytes" in seen.end.text
        assert works(ping(explain, "same-region", 9001)), "control"


def test_an_instance_sends_no_more_than_its_own_mtu(bed: Bed, explain: Explain) -> None:
    own = bed.fact(Veth, ns="app", name="eth0")

    with instead(bed, own, replace(own, mtu=1500)):
        assert works(ping(explain, "beside", 1500))
        assert dies(ping(explain, "beside", 1501), "app", "X_MTU_EXCEEDED")
        assert dies(explain("app", "beside", 7, "udp", size=1501), "app", "X_MTU_EXCEEDED")


def test_a_datagram_is_judged_like_a_ping(explain: Explain) -> None:
    assert works(explain("app", "other-region", 7, "udp", size=8500))
    assert dies(explain("app", "other-region", 7, "udp", size=8501), "vpc-main", "X_MTU_EXCEEDED")


@pytest.mark.parametrize(
    ("to", "largest"), [("beside", 9001), ("by-vpn", 1446), ("by-dx", 1500), ("same-region", 9001)]
)
def test_tcp_sends_segments_that_its_peer_takes(explain: Explain, to: str, largest: int) -> None:
    """Its own MTU, the peer's, and what a customer gateway says in between."""
    seen = explain("app", to, size=20_000)

    assert works(seen)
    assert seen.observed.there.visits[0].arrived.size == largest
    assert seen.predicted.there.visits[0].arrived.size == largest


def test_a_segment_that_no_peer_warned_of_is_too_big(bed: Bed, explain: Explain) -> None:
    """Both ends have 9001 bytes, the way between regions 8500; then the sender has learnt that."""
    for end in ("app", "other-region"):  # what other tests have taught them
        assert bed.run(end, "sysctl", "-qw", "net.ipv4.route.flush=1").returncode == 0
    assert dies(explain("other-region", "app", size=9001), "vpc-far", "X_MTU_EXCEEDED")
    assert works(explain("other-region", "app", protocol="icmp")), "control: small ones pass"
    route = bed.run("other-region", "ip", "route", "get", str(bed.address("app"))).stdout
    assert "mtu 8500" in route
