"""What goes wrong with kubenet's nodes and the VPC around them: made to happen, and explained.

Each with a control that shows the rest of the lab at work.  What is observed is what the broken
kernels let predict.  k/k: kubernetes/kubernetes.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.kubernetes.kube_proxy import Era
from testbed.load import load
from testbed.net.facts import Bridge, Chain, ChainRule, Netns, Route, State, Sysctl
from tests.routing.cni.breaking import dies, instead, works
from tests.routing.cni.conftest import Explain
from tests.routing.cni.conftest import explain as explain
from tests.routing.cni.conftest import observer as observer
from tests.segments import connected

pytestmark = pytest.mark.kernel

HOST = "203.0.113.10"
RANGE_1, RANGE_2 = IPv4Network("100.96.0.0/24"), IPv4Network("100.96.1.0/24")
LARGE = b"x" * 4000  # bytes: more than an Ethernet frame, less than a jumbo one


@pytest.fixture(scope="module")
def bed(topologies: Path) -> Iterator[Bed]:
    """web-0 and client on node-1, web-1 on node-2, web-2 on node-3."""
    with bring_up(load(topologies / "kops.yaml")) as up:
        yield up


@contextmanager
def becoming(bed: Bed, wanted: State) -> Iterator[None]:
    """The lab with other facts; its own are back afterwards."""
    bed.change(wanted)
    try:
        yield
    finally:
        bed.change(bed.state)
    assert not bed.drift()


# routes


def test_a_route_to_an_instance_that_is_gone(bed: Bed, explain: Explain) -> None:
    """k/k#33015: AWS leaves the route, as a blackhole, until the controller removes it."""
    route = bed.fact(Route, ns="vpc-main", dst=RANGE_2)

    with instead(bed, route, replace(route, kind="blackhole", dev="", via=None, onlink=False)):
        assert dies(explain("client", "web-1"), "vpc-main", "BAD_STATE_ROUTE")
        assert works(explain("client", "web-2")), "control: another node's route"


def test_a_node_whose_range_was_changed_keeps_its_old_pods(bed: Bed, explain: Explain) -> None:
    """kubenet ignores a second podCIDR; the route controller does not."""
    route = bed.fact(Route, ns="vpc-main", dst=RANGE_2)

    with instead(bed, route, replace(route, dst=IPv4Network("100.96.9.0/24"))):
        assert dies(explain("client", "web-1"), "igw-main", "X_NO_POD_ROUTE")
        assert dies(explain("web-1", "client"), "igw-main", "X_NO_POD_ROUTE"), "the answer is lost"
        assert works(explain("web-1", HOST)), "with its node's address"
        assert works(explain("client", "web-2")), "control: another node"


def test_a_node_that_translates_nothing_cuts_its_pods_off_the_internet(
    bed: Bed, explain: Explain
) -> None:
    """`--non-masquerade-cidr=0.0.0.0/0`: kubenet writes no rule."""
    chain = bed.fact(Chain, ns="node-1", table="nat", name="POSTROUTING")
    left = tuple(rule for rule in chain.rules if "kubenet" not in rule.text)

    with instead(bed, chain, replace(chain, rules=left)):
        no_public_address = "igw-main", "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"
        assert dies(explain("client", HOST), *no_public_address)
        assert works(explain("client", "web-1")), "control: pods need no translation"
        assert works(explain("api", HOST)), "control: another node"


def test_a_strict_filter_drops_what_would_be_answered_by_another_link(
    bed: Bed, explain: Explain
) -> None:
    """k/k#124587: in silence; here node-2 believes that node-1's pods are behind cbr0."""
    loose = bed.fact(Sysctl, ns="node-2", name="net.ipv4.conf.all.rp_filter")
    strict = bed.state - {loose} | {replace(loose, value="1")}
    wrong_way = Route(ns="node-2", dst=RANGE_1, dev="cbr0", scope="link")

    with becoming(bed, strict):
        assert works(explain("client", "web-1")), "control: the filter alone harms nobody"
    with becoming(bed, strict | {wrong_way}):
        assert dies(explain("client", "web-1"), "node-2", "X_RP_FILTER")
        assert works(explain("web-2", "web-1")), "control: another node's pods"


# packets that are too large


def test_small_packets_pass_and_large_ones_hang_where_nobody_is_told(
    bed: Bed, explain: Explain
) -> None:
    """kops#1627: cbr0 of one node has 1500 bytes, and the messages about it are filtered."""
    bridge = bed.fact(Bridge, ns="node-2", name="cbr0")
    chain = bed.fact(Chain, ns="node-1", table="filter", name="FORWARD")
    silent = ChainRule("-p icmp -m icmp --icmp-type 3/4 -j DROP")
    small = bed.state - {bridge} | {replace(bridge, mtu=1500)}
    called = str(bed.pod("web-1").ip), 8099
    silence = "node-1", "X_FIREWALL"  # which drops the message

    with (
        becoming(bed, small - {chain} | {replace(chain, rules=(silent, *chain.rules))}),
        connected(bed.store, "client", "web-1", 8099, called) as (caller, server),
    ):
        caller.send(b"small")
        assert server.recv(8) == b"small"
        caller.send(LARGE)
        server.settimeout(1)
        with pytest.raises(TimeoutError):
            server.recv(8)
        large = explain("client", "web-1", protocol="icmp", size=len(LARGE))
        assert dies(large, "node-2", "X_MTU_EXCEEDED")
        assert large.observed.back
        assert (large.observed.back.end.ns, large.observed.back.end.code) == silence
    with (
        becoming(bed, small),
        connected(bed.store, "client", "web-1", 8099, called) as (caller, server),
    ):
        caller.send(LARGE)
        assert server.recv(len(LARGE), socket.MSG_WAITALL) == LARGE, (
            "control: who is told heeds it"
        )
    bed.run("client", "ip", "route", "flush", "cache")


# addresses of the node itself


@pytest.mark.parametrize(
    ("era", "route_localnet", "cause"),
    [
        ("1.14", "1", ()),
        ("current", "1", ("node-2", "X_FIREWALL")),
        ("current", "0", ("node-2", "X_MARTIAN_DESTINATION")),
    ],
)
def test_1_14_opens_what_a_node_serves_for_itself_to_its_neighbours(
    bed: Bed, explain: Explain, era: Era, route_localnet: str, cause: tuple[str, ...]
) -> None:
    """CVE-2020-8558, k/k#90259: kube-proxy's route_localnet lets 127.0.0.1 in by any link.

    The pod that calls is root in its namespace, and has no loopback of its own in the way.
    """
    before = bed.lab
    [cluster] = before.clusters
    proxy = replace(cluster.kube_proxy, era=era)
    bed.up(replace(before, clusters=(replace(cluster, kube_proxy=proxy),)))
    name = "net.ipv4.conf.all.route_localnet"
    loopback, setting = bed.fact(Netns, ns="web-1"), bed.fact(Sysctl, ns="node-2", name=name)
    attack = {
        replace(loopback, up=False),
        replace(setting, value=route_localnet),
        Sysctl(ns="web-1", name=name, value="1"),  # to take the answer
        Route(
            ns="web-1",
            dst=IPv4Network("127.0.0.1"),
            via=IPv4Address("100.96.1.1"),
            dev="eth0",
        ),
    }
    try:
        with becoming(bed, bed.state - {loopback, setting} | attack):
            bed.run("web-1", "ip", "address", "del", "127.0.0.1/8", "dev", "lo")
            seen = explain("web-1", "127.0.0.1", 9100)
        if cause:
            assert dies(seen, *cause)
        else:
            assert seen.delivered
            assert seen.predicted.there.end == replace(
                seen.observed.there.end, text=seen.predicted.there.end.text
            )
    finally:
        bed.up(before)
