"""What `path` says of every pair of pods is what a real ping finds."""

from dataclasses import replace
from ipaddress import IPv4Network
from itertools import permutations

import pytest

from testbed.bed import Bed
from testbed.net.facts import Fact, Neighbour, Route, Rule

pytestmark = pytest.mark.kernel


def broken(bed: Bed) -> list[Fact]:
    """Facts whose loss some pairs notice and others do not."""
    web_4 = IPv4Network(bed.pod("web-4").ip)
    return [
        bed.fact(Rule, ns="node-1", priority=1536, src=web_4),
        bed.fact(Route, ns="node-1", table=254, dst=web_4),
        bed.fact(Route, ns="node-1", table=2, dst=IPv4Network("0.0.0.0/0")),
        bed.fact(Route, ns="vpc-main", table=1000, dst=IPv4Network(bed.pod("client").ip)),
        bed.fact(Rule, ns="vpc-main", iif="private-b"),
    ]


def disagreements(bed: Bed) -> list[tuple[str, str]]:
    """The pairs whose round trip the paths and the ping judge differently."""
    pods = [place.pod for place in bed.allocations.pods if not place.host_network]
    arrives = {pair: bed.path(*pair).delivered for pair in permutations(pods, 2)}
    found = []
    for source, destination in arrives:
        answered = arrives[source, destination] and arrives[destination, source]
        pinging = bed if answered else bed.briefly
        if answered != bool(pinging.ping(source, destination).received):
            found.append((source, destination))
    return found


def test_paths_and_pings_agree_on_every_pair(bed: Bed) -> None:
    assert disagreements(bed) == []


@pytest.mark.parametrize("number", range(5))
def test_paths_and_pings_agree_when_something_is_missing(bed: Bed, number: int) -> None:
    with bed.without(broken(bed)[number]):
        assert disagreements(bed) == []
    assert not bed.drift()


def test_a_wrong_neighbour_is_seen_by_both(bed: Bed) -> None:
    """The frame is for a MAC that nobody has."""
    neighbour = bed.fact(Neighbour, ns="web-0")
    wrong = replace(neighbour, mac="02:00:00:00:00:99")

    bed.change(bed.state - {neighbour} | {wrong})
    try:
        assert bed.path("web-0", "client").code == "X_WRONG_MAC"
        assert bed.briefly.ping("web-0", "client").received == 0
    finally:
        bed.change(bed.state)
