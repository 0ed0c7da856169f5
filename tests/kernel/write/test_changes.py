"""A kernel that is as it was becomes what is wanted: healed, changed, emptied, in any order."""

from ipaddress import IPv4Address, IPv4Interface

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.read.observe import Observation, observe
from testbed.kernel.write.apply import apply
from testbed.net.drift.diff import Drift, compare, implied
from testbed.net.facts import (
    ANYWHERE,
    Address,
    BridgePort,
    Fact,
    Fdb,
    Foreign,
    Neighbour,
    Route,
    Rule,
    Sysctl,
    Veth,
)
from tests.kernel.write.small_lab import (
    GATEWAY,
    LAB,
    NODE,
    POD,
    POD_NET,
    VPC,
    change,
    drift,
    printed,
)

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize(
    ("ns", "command"),
    [
        ("n1", "ip rule del pref 1536"),
        ("n1", "ip rule flush"),
        ("n1", "ip rule add pref 1536 from 10.0.1.5 to 10.9.0.0/16 lookup 2"),
        ("n1", "ip rule add pref 600 blackhole"),
        ("n1", "ip route flush table 2"),
        ("n1", "ip route del 10.0.1.0/24"),
        ("n1", "ip route append 10.0.1.0/24 dev eth1 proto kernel src 10.0.1.6"),
        ("n1", "ip route append default dev eth1 metric 512"),
        ("n1", "ip route add 10.7.0.0/16 nexthop dev eth0 nexthop dev eth1"),
        ("n1", "ip addr flush dev eth0"),
        ("n1", "ip addr add 10.0.1.7/24 dev eth0"),
        ("n1", "ip link set eth1 down"),
        ("n1", "ip link set lo down"),
        ("n1", "ip link del eni1"),
        ("n1", "ip link set eni1 down name lost"),
        ("n1", "ip link add vx type vxlan id 5 dstport 4789"),
        ("n1", "ip link add name v1 type veth peer name v2"),
        ("n1", "sysctl -w net.ipv4.ip_forward=0"),
        ("pod", "ip link set eth0 address 02:00:00:00:77:77"),
        ("pod", "ip link set eth0 mtu 1400"),
        ("pod", "ip neigh replace 169.254.1.1 lladdr 02:00:00:00:55:55 dev eth0"),
        ("vpc", "ip link set n1-e0 nomaster"),
        ("vpc", "bridge link set dev n1-e0 learning on flood on"),
        ("vpc", "bridge fdb del 02:00:00:00:00:03 dev n1-e0 master"),
        ("vpc", "ip link del private-a"),
        ("vpc", "ip link set private-a mtu 1500"),
    ],
)
def test_what_somebody_broke_is_seen_and_healed(lab: LocalStore, ns: str, command: str) -> None:
    printed(lab, ns, *command.split())
    assert drift(lab, LAB), "premise: the command is a drift"

    change(lab, LAB)

    assert drift(lab, LAB) == Drift()


def test_equal_rules_are_written_and_removed_one_by_one(lab: LocalStore) -> None:
    """The kernel takes them from programs that do not ask it for NLM_F_EXCL."""
    again = Rule(ns="n1", priority=512, dst=POD_NET, table=254, copy=1)

    change(lab, LAB | {again})
    assert printed(lab, "n1", "ip", "rule").count("512:\tfrom all to 10.0.1.5 lookup main") == 2
    assert drift(lab, LAB) == Drift(extra=frozenset({again}))
    change(lab, LAB)

    assert drift(lab, LAB) == Drift()


def test_two_devices_in_one_subnet_have_a_connected_route_each(store: LocalStore) -> None:
    """As on any Linux with two ENIs in a subnet: equal routes that differ in the device alone."""
    wanted = (NODE | VPC) - {
        fact for fact in NODE if isinstance(fact, Address) and fact.dev == "eth1"
    } | {Address(ns="n1", dev="eth1", ip=IPv4Interface("10.0.1.6/24"))}
    wanted = frozenset(wanted)
    apply(store, wanted)

    assert drift(store, wanted) == Drift()
    printed(store, "n1", "ip", "route", "del", "10.0.1.0/24", "dev", "eth1")
    change(store, wanted)

    assert drift(store, wanted) == Drift()


def test_a_foreign_object_is_shown_by_name(lab: LocalStore) -> None:
    printed(lab, "n1", "ip", "link", "add", "vx", "type", "vxlan", "id", "5", "dstport", "4789")

    (fact,) = drift(lab, LAB).extra

    assert isinstance(fact, Foreign)
    assert (fact.ns, fact.kind, fact.text) == ("n1", "link", "vxlan vx")


def test_a_pod_comes_and_goes_and_comes_again_under_its_old_names(lab: LocalStore) -> None:
    """The kernel needs some 100 ms to take a dropped pod's veth away, and nobody waits for it."""
    without_pod = LAB - POD

    change(lab, without_pod)
    assert lab.names() == {"n1", "vpc"}
    assert drift(lab, without_pod) == Drift()
    change(lab, LAB)

    assert drift(lab, LAB) == Drift()


def test_a_pod_comes_again_without_anybody_having_looked(lab: LocalStore) -> None:
    """What apply returned stands for an observation: the lab need not be read each time."""
    found = Observation(LAB | implied(LAB), observe(lab).indexes)
    without_pod = LAB - POD

    numbers = apply(lab, without_pod, found)
    apply(lab, LAB, Observation(without_pod | implied(without_pod), numbers))

    assert drift(lab, LAB) == Drift()


def test_a_pods_facts_are_applied_alone_while_the_rest_is_not_read(lab: LocalStore) -> None:
    """Its node's links to the VPC are named by links that only a look elsewhere finds."""
    names = ["pod", "n1"]

    found = observe(lab, names, [fact for fact in POD | NODE if isinstance(fact, Sysctl)])

    assert compare(POD | NODE, found.state) == Drift()


def test_changed_values_are_written_in_place(lab: LocalStore) -> None:
    """A link keeps its number: it was not deleted and made again."""
    before = observe(lab).indexes
    smaller = {
        Veth(ns="pod", name="eth0", peer_ns="n1", peer="eni1", mac="02:00:00:00:00:0a", mtu=1500),
        Neighbour(ns="pod", dev="eth0", ip=GATEWAY, mac="02:00:00:00:00:0b"),
        Route(ns="pod", dst=ANYWHERE, via=GATEWAY, dev="eth0", src=IPv4Address("10.0.1.5")),
    }
    keys = {fact.key for fact in smaller}
    wanted = frozenset(fact for fact in LAB if fact.key not in keys) | smaller

    change(lab, wanted)

    assert drift(lab, wanted) == Drift()
    assert observe(lab).indexes == before


# What nothing else stands on, so that it may be there or not
LOOSE = sorted(
    (
        fact
        for fact in LAB
        if isinstance(fact, BridgePort | Fdb | Neighbour | Rule)
        or (isinstance(fact, Route) and (fact.via or fact.kind != "unicast"))
    ),
    key=repr,
)


@settings(max_examples=15, deadline=None)
@given(some.lists(some.tuples(some.sets(some.sampled_from(LOOSE)), some.booleans()), max_size=4))
def test_any_state_turns_into_any_other(steps: list[tuple[set[Fact], bool]]) -> None:
    with LocalStore() as store:
        for absent, with_pod in steps:
            wanted = (LAB if with_pod else LAB - POD) - absent
            ports = {fact.dev for fact in wanted if isinstance(fact, BridgePort)}
            wanted -= {fact for fact in LAB if isinstance(fact, Fdb) and fact.dev not in ports}

            change(store, wanted)

            assert drift(store, wanted) == Drift()
