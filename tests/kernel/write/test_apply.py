"""Facts written to real, private namespaces: what is there afterwards, and who else says so.

The witnesses are pyroute2, a netlink library of its own, and the real `ip` and `bridge` programs.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from pyroute2 import IPRoute

from testbed.errors import KernelError
from testbed.kernel.namespaces.enter import entered
from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.programs.run import run
from testbed.kernel.read.observe import Observation, observe
from testbed.kernel.write.apply import apply
from testbed.net.drift.diff import Drift, compare, implied
from testbed.net.facts import (
    ANYWHERE,
    Address,
    Bridge,
    BridgePort,
    Chain,
    ChainRule,
    Fact,
    Fdb,
    Foreign,
    Neighbour,
    Netns,
    Route,
    Rule,
    State,
    Sysctl,
    Veth,
)
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

T = TypeVar("T")

GATEWAY = IPv4Address("169.254.1.1")
POD_NET = IPv4Network("10.0.1.5/32")

# A pod on a node with two ENIs, and the VPC's bridge they are plugged into.
POD: State = frozenset(
    {
        Netns(ns="pod"),
        Veth(ns="pod", name="eth0", peer_ns="n1", peer="eni1", mac="02:00:00:00:00:01", mtu=9001),
        Address(ns="pod", dev="eth0", ip=IPv4Interface("10.0.1.5/32")),
        Route(ns="pod", dst=IPv4Network("169.254.1.1/32"), dev="eth0", scope="link"),
        Route(ns="pod", dst=ANYWHERE, via=GATEWAY, dev="eth0"),
        Neighbour(ns="pod", dev="eth0", ip=GATEWAY, mac="02:00:00:00:00:02"),
        Veth(ns="n1", name="eni1", peer_ns="pod", peer="eth0", mac="02:00:00:00:00:02", mtu=9001),
        Sysctl(ns="n1", name="net.ipv6.conf.eni1.accept_ra", value="0"),
        Route(ns="n1", dst=POD_NET, dev="eni1", scope="link"),
        Rule(ns="n1", priority=512, dst=POD_NET, table=254),
        Rule(ns="n1", priority=1536, src=POD_NET, table=2),
    }
)
NODE: State = frozenset(
    {
        Netns(ns="n1"),
        Veth(ns="n1", name="eth0", peer_ns="vpc", peer="n1-e0", mac="02:00:00:00:00:03", mtu=9001),
        Veth(ns="n1", name="eth1", peer_ns="vpc", peer="n1-e1", mac="02:00:00:00:00:04", mtu=9001),
        Sysctl(ns="n1", name="net.ipv4.ip_forward", value="1"),
        Sysctl(ns="n1", name="net.ipv4.conf.eth0.rp_filter", value="2"),
        Address(ns="n1", dev="eth0", ip=IPv4Interface("10.0.1.4/24")),
        Address(ns="n1", dev="eth1", ip=IPv4Interface("10.0.1.6/24"), connected=False),
        Route(
            ns="n1",
            dst=ANYWHERE,
            via=IPv4Address("10.0.1.1"),
            dev="eth0",
            src=IPv4Address("10.0.1.4"),
            protocol="dhcp",
            metric=512,
        ),
        Route(ns="n1", dst=IPv4Network("10.0.1.1/32"), dev="eth1", table=2, scope="link"),
        Route(ns="n1", dst=ANYWHERE, via=IPv4Address("10.0.1.1"), dev="eth1", table=2),
        Route(ns="n1", dst=IPv4Network("10.9.0.0/16"), kind="blackhole", table=1000),
        Rule(ns="n1", priority=1024, fwmark=0x80, fwmask=0x80, table=254),
        Rule(ns="n1", priority=1025, iif="eth1", table=1000),
    }
)
VPC: State = frozenset(
    {
        Netns(ns="vpc"),
        Bridge(ns="vpc", name="private-a", mac="02:00:00:00:00:05", mtu=9001),
        Veth(ns="vpc", name="n1-e0", peer_ns="n1", peer="eth0", mac="02:00:00:00:00:06", mtu=9001),
        Veth(ns="vpc", name="n1-e1", peer_ns="n1", peer="eth1", mac="02:00:00:00:00:07", mtu=9001),
        BridgePort(
            ns="vpc",
            dev="n1-e0",
            bridge="private-a",
            learning=False,
            flood=False,
            proxy_arp=True,
        ),
        BridgePort(ns="vpc", dev="n1-e1", bridge="private-a", hairpin=True),
        Fdb(ns="vpc", dev="n1-e0", mac="02:00:00:00:00:03"),
        Address(ns="vpc", dev="private-a", ip=IPv4Interface("10.0.1.1/32")),
        Neighbour(ns="vpc", dev="private-a", ip=IPv4Address("10.0.1.4"), mac="02:00:00:00:00:03"),
    }
)
LAB = POD | NODE | VPC


@pytest.fixture
def store() -> Iterator[LocalStore]:
    """Namespaces that vanish after the test."""
    with LocalStore() as namespaces:
        yield namespaces


@pytest.fixture
def lab(store: LocalStore) -> LocalStore:
    """The lab above, applied."""
    apply(store, LAB)
    return store


def inside(store: LocalStore, ns: str, work: Callable[[], T]) -> T:
    """What `work` returns in a namespace."""
    fd = store.open(ns)
    try:
        with entered(fd):
            return work()
    finally:
        os.close(fd)


def printed(store: LocalStore, ns: str, *argv: str) -> list[str]:
    """What a program prints in a namespace, its lines without the blanks at their ends."""
    result = inside(store, ns, lambda: run(argv, timeout_s=PATIENCE_S))
    assert result.returncode == 0, result.stderr
    return [line.rstrip() for line in result.stdout.splitlines()]


def seen(store: LocalStore, wanted: State) -> Observation:
    """What is found, with the sysctls of `wanted`."""
    return observe(store, sysctls=[fact for fact in wanted if isinstance(fact, Sysctl)])


def drift(store: LocalStore, wanted: State) -> Drift:
    return compare(wanted, seen(store, wanted).state)


def change(store: LocalStore, wanted: State) -> None:
    apply(store, wanted, seen(store, wanted))


def test_what_was_written_is_found_and_nothing_else(lab: LocalStore) -> None:
    assert drift(lab, LAB) == Drift()


def test_numbers_of_links_are_told_and_used_once_in_a_lab(store: LocalStore) -> None:
    """A veth's peer is told by its number alone."""
    numbers = apply(store, LAB)

    assert numbers == observe(store).indexes
    links = [index for (_, dev), index in numbers.items() if dev != "lo"]
    assert len(set(links)) == len(links) == 7


def test_a_namespace_is_told_when_its_addresses_are_there_and_others_still_come(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So servers are bound while others are wired."""
    monkeypatch.setattr("testbed.kernel.write.apply.TOLD_AT_ONCE", 1)
    told: list[str] = []
    complete: list[bool] = []

    def wired(names: Sequence[str]) -> None:
        told.extend(names)
        missing = {fact.ns for fact in LAB - seen(store, LAB).state if isinstance(fact, Address)}
        assert not missing & {*told}
        complete.append(not missing)

    apply(store, LAB, wired=wired)

    assert sorted(told) == ["n1", "pod", "vpc"]
    assert complete[0] is False
    assert complete[-1] is True


def test_ip_rule_prints_the_rules_in_the_order_of_the_slide(lab: LocalStore) -> None:
    assert printed(lab, "n1", "ip", "rule") == [
        "0:\tfrom all lookup local",
        "512:\tfrom all to 10.0.1.5 lookup main",
        "1024:\tfrom all fwmark 0x80/0x80 lookup main",
        "1025:\tfrom all iif eth1 lookup 1000",
        "1536:\tfrom 10.0.1.5 lookup 2",
        "32766:\tfrom all lookup main",
        "32767:\tfrom all lookup default",
    ]


def test_ip_route_prints_the_routes_of_the_slide(lab: LocalStore) -> None:
    """eth1's connected route is gone: only the first ENI's stands in table main."""
    assert printed(lab, "pod", "ip", "route") == [
        "default via 169.254.1.1 dev eth0",
        "169.254.1.1 dev eth0 scope link",
    ]
    assert printed(lab, "n1", "ip", "route") == [
        "default via 10.0.1.1 dev eth0 proto dhcp src 10.0.1.4 metric 512",
        "10.0.1.0/24 dev eth0 proto kernel scope link src 10.0.1.4",
        "10.0.1.5 dev eni1 scope link",
    ]
    assert printed(lab, "n1", "ip", "route", "show", "table", "2") == [
        "default via 10.0.1.1 dev eth1",
        "10.0.1.1 dev eth1 scope link",
    ]
    assert printed(lab, "n1", "ip", "route", "show", "table", "1000") == ["blackhole 10.9.0.0/16"]


def test_bridge_prints_the_ports_and_their_static_entries(lab: LocalStore) -> None:
    ports = printed(lab, "vpc", "bridge", "-d", "link")

    assert "master private-a state forwarding" in ports[0]
    assert "hairpin off" in ports[1]
    assert "learning off flood off mcast_flood off bcast_flood off" in ports[1]
    assert "hairpin on" in ports[3]
    assert "learning on flood on mcast_flood on bcast_flood on" in ports[3]
    entries = printed(lab, "vpc", "bridge", "fdb", "show", "brport", "n1-e0")
    assert "02:00:00:00:00:03 master private-a static" in entries
    details = "".join(printed(lab, "vpc", "ip", "-d", "link", "show", "n1-e0"))
    assert "proxy_arp on" in details
    assert "numtxqueues 1 numrxqueues 1" in details


def test_ip_prints_permanent_neighbours(lab: LocalStore) -> None:
    assert printed(lab, "pod", "ip", "neigh") == [
        "169.254.1.1 dev eth0 lladdr 02:00:00:00:00:02 PERMANENT"
    ]


def test_pyroute2_finds_the_links_addresses_and_routes(lab: LocalStore) -> None:
    """An independent reader: our decoder may share a mistake with our encoder."""

    def look() -> dict[str, list[Any]]:
        with IPRoute() as kernel:
            return {
                "links": list(kernel.get_links()),
                "addresses": list(kernel.get_addr(family=2)),
                "routes": list(kernel.get_routes(family=2, table=254)),
                "rules": list(kernel.get_rules(family=2)),
            }

    found = inside(lab, "n1", look)

    links = {link.get_attr("IFLA_IFNAME"): link for link in found["links"]}
    assert set(links) == {"lo", "eth0", "eth1", "eni1"}
    assert all(link["flags"] & 1 for link in links.values()), "IFF_UP"
    assert links["eni1"].get_attr("IFLA_ADDRESS") == "02:00:00:00:00:02"
    assert links["eni1"].get_attr("IFLA_MTU") == 9001
    assert links["eni1"].get_attr("IFLA_NUM_TX_QUEUES") == 1
    assert {
        (address.get_attr("IFA_LOCAL"), address["prefixlen"]) for address in found["addresses"]
    } == {("127.0.0.1", 8), ("10.0.1.4", 24), ("10.0.1.6", 24)}
    assert {
        (route.get_attr("RTA_DST"), route["dst_len"], route.get_attr("RTA_GATEWAY"))
        for route in found["routes"]
    } == {(None, 0, "10.0.1.1"), ("10.0.1.0", 24, None), ("10.0.1.5", 32, None)}
    assert (1536, "10.0.1.5", 2) in {
        (rule.get_attr("FRA_PRIORITY"), rule.get_attr("FRA_SRC"), rule.get_attr("FRA_TABLE"))
        for rule in found["rules"]
    }


def test_sysctls_are_set_before_and_after_the_links(lab: LocalStore) -> None:
    """ip_forward reaches the links made later; rp_filter went by netlink, accept_ra by /proc."""
    values = printed(
        lab,
        "n1",
        "cat",
        "/proc/sys/net/ipv4/conf/eth1/forwarding",
        "/proc/sys/net/ipv4/conf/eth0/rp_filter",
        "/proc/sys/net/ipv6/conf/eni1/accept_ra",
    )

    assert values == ["1", "2", "0"]


def test_every_link_and_its_peer_are_up_and_pass_packets(lab: LocalStore) -> None:
    ping = ["ping", "-c", "1", "-W", "5", "10.0.1.4"]

    assert inside(lab, "pod", lambda: run(ping, timeout_s=PATIENCE_S)).returncode == 0


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


def test_rule_sets_are_written_and_read_with_the_rest(lab: LocalStore) -> None:
    chain = Chain(
        ns="n1",
        table="nat",
        name="AWS-SNAT-CHAIN-0",
        rules=(ChainRule("-d 10.0.0.0/16 -j RETURN"),),
    )
    wanted = LAB | {chain}

    change(lab, wanted)
    assert drift(lab, wanted) == Drift()
    printed(lab, "n1", "iptables-nft", "-t", "nat", "-F", "AWS-SNAT-CHAIN-0")

    assert {one.wanted for one in drift(lab, wanted).changed} == {chain}


def test_a_refusal_names_namespace_fact_and_the_kernels_reason(store: LocalStore) -> None:
    unreachable = Route(ns="pod", dst=ANYWHERE, via=IPv4Address("192.0.2.1"), dev="eth0")

    with pytest.raises(KernelError) as refused:
        apply(store, LAB - {fact for fact in LAB if fact.key == unreachable.key} | {unreachable})

    assert "pod: default via 192.0.2.1 dev eth0" in str(refused.value)
    assert "Network is unreachable (Nexthop has invalid gateway)" in str(refused.value)


def test_a_fact_of_a_device_that_is_not_there_is_refused_by_name(store: LocalStore) -> None:
    lost = Address(ns="pod", dev="eth9", ip=IPv4Interface("10.0.1.5/32"))

    with pytest.raises(KernelError, match=r"pod: .*10\.0\.1\.5/32.*there is no 'eth9'"):
        apply(store, frozenset({Netns(ns="pod"), lost}))


def test_a_sysctl_that_is_not_there_is_refused_by_name(store: LocalStore) -> None:
    unknown = Sysctl(ns="pod", name="net.ipv4.no_such", value="1")

    with pytest.raises(KernelError, match=r"pod: sysctl net\.ipv4\.no_such = 1: No such file"):
        apply(store, frozenset({Netns(ns="pod"), unknown}))


def test_a_batch_may_be_larger_than_a_socket_sends_at_once(store: LocalStore) -> None:
    """4,000 routes are 190 KB; the default send buffer of a socket refuses more than 212 KB."""
    lab: State = frozenset({Netns(ns="n1")}) | {
        Route(ns="n1", dst=IPv4Network((0x0A000000 + i, 32)), kind="blackhole", metric=7)
        for i in range(4000)
    }

    apply(store, lab)

    assert drift(store, lab) == Drift()


def test_the_first_of_very_many_refusals_is_told(store: LocalStore) -> None:
    """The kernel cannot keep thousands of refusals for a socket; the last answer may be lost."""
    lab: State = frozenset({Netns(ns="n1")}) | {
        Route(ns="n1", dst=IPv4Network((0x0A000000 + i, 32)), via=GATEWAY) for i in range(4000)
    }

    with pytest.raises(KernelError, match=r"n1: 10\.0\.0\.0 via 169\.254\.1\.1: Network is"):
        apply(store, lab)


def test_the_thread_is_at_home_again_even_after_a_refusal(store: LocalStore) -> None:
    home = os.stat("/proc/thread-self/ns/net").st_ino  # noqa: PTH116 - a magic link

    with pytest.raises(KernelError):
        apply(store, frozenset({Netns(ns="n1"), Fdb(ns="n1", dev="lo", mac="02:00:00:00:00:01")}))

    assert os.stat("/proc/thread-self/ns/net").st_ino == home  # noqa: PTH116
