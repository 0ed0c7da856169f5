"""Facts written to real, private namespaces: what is there afterwards, and who else says so.

The witnesses are pyroute2, a netlink library of its own, and the real `ip` and `bridge` programs.
"""

import os
from collections.abc import Sequence
from typing import Any

import pytest
from pyroute2 import IPRoute

from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.netlink.encode_links import ETH0_INDEX
from testbed.kernel.programs.run import run
from testbed.kernel.read.observe import observe
from testbed.kernel.write.apply import _first_index, apply
from testbed.net.drift.diff import Drift
from testbed.net.facts import Address, Chain, ChainRule, Netns, Veth
from tests.kernel.write.small_lab import LAB, change, drift, inside, printed, seen
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel


def test_what_was_written_is_found_and_nothing_else(lab: LocalStore) -> None:
    assert drift(lab, LAB) == Drift()


def test_numbers_of_links_are_told_and_each_pair_of_them_is_used_once(store: LocalStore) -> None:
    """A veth's peer is told by their two numbers alone."""
    numbers = apply(store, LAB)

    assert numbers == observe(store).indexes
    pairs = [
        (numbers[fact.ns, fact.name], numbers[fact.peer_ns, fact.peer])
        for fact in LAB
        if isinstance(fact, Veth)
    ]
    assert len(set(pairs)) == len(pairs) > 2


def test_ip_link_prints_a_nodes_ends_of_pods_as_on_a_real_node(lab: LocalStore) -> None:
    """On EKS it is `eni8c1f…@if3`, for a plugin makes the pair in the pod: first the far end."""
    [line] = [line for line in printed(lab, "n1", "ip", "-br", "link") if line.startswith("eni1")]

    assert line.split()[:2] == ["eni1@if3", "UP"]


def test_numbers_begin_above_what_the_kernel_puts_into_a_new_namespace(store: LocalStore) -> None:
    """tunl0 and its like, where their modules are loaded: a link of theirs cannot be made."""
    apply(store, frozenset({Netns(ns="new"), Netns(ns="with-more")}))
    more = "ip link add name a index 7 type veth peer name b index 9"
    printed(store, "with-more", *more.split())

    found = {}
    for ns in ("new", "with-more"):
        descriptor = store.open(ns)
        found[ns] = _first_index(descriptor)
        os.close(descriptor)

    assert found == {"new": ETH0_INDEX, "with-more": 10}


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
