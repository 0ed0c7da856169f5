"""Which addresses a namespace tells apart: those that its facts say different things of."""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from testbed.explain.walk.facts.classes import AddressClasses
from testbed.net.facts import (
    Address,
    Chain,
    ChainRule,
    Fact,
    Neighbour,
    NftElement,
    Route,
    Rule,
    Sysctl,
)

NS = "node-1"
NEXT_HOP = IPv4Address("169.254.1.1")


def classes(*facts: Fact) -> AddressClasses:
    return AddressClasses(facts)


def number(text: str) -> int:
    return int(IPv4Address(text))


def are_alike(found: AddressClasses, one: str, other: str) -> bool:
    return found[number(one)] == found[number(other)]


def chain(rule: str) -> Chain:
    return Chain(ns=NS, table="nat", name="PREROUTING", rules=(ChainRule(rule),))


def element(text: str, value: str = "") -> NftElement:
    return NftElement(ns=NS, family="bridge", table="vpc", set="owners", element=text, value=value)


def test_without_facts_only_what_kernels_themselves_tell_apart_is_told_apart() -> None:
    found = classes(Sysctl(ns=NS, name="net.ipv4.ip_forward", value="1"))

    assert are_alike(found, "10.0.0.1", "192.168.7.9")
    assert not are_alike(found, "10.0.0.1", "127.0.0.1")
    assert not are_alike(found, "10.0.0.1", "224.0.0.5")
    assert not are_alike(found, "240.0.0.1", "255.255.255.255")


@pytest.mark.parametrize(
    "fact",
    [
        chain("-d 10.0.5.0/24 -j ACCEPT"),
        chain("-d 10.0.5.0/255.255.255.0 -j ACCEPT"),
        chain("-m iprange --dst-range 10.0.5.0-10.0.5.255 -j ACCEPT"),
        element("10.0.5.0/24 . 80"),
        element("10.0.5.0-10.0.5.255"),
        Route(ns=NS, table=254, dst=IPv4Network("10.0.5.0/24"), dev="eth0"),
        Rule(ns=NS, priority=1536, table=2, dst=IPv4Network("10.0.5.0/24")),
        Address(ns=NS, dev="eth0", ip=IPv4Interface("10.0.5.77/24")),
    ],
    ids=["iptables", "mask", "iprange", "prefix", "interval", "route", "rule", "address"],
)
def test_a_network_separates_what_is_in_it_from_what_is_not(fact: Fact) -> None:
    found = classes(fact)

    assert are_alike(found, "10.0.5.9", "10.0.5.200")
    assert are_alike(found, "10.0.4.255", "10.0.6.0"), "wherever the others lie"
    assert not are_alike(found, "10.0.5.9", "10.0.4.9")
    assert not are_alike(found, "10.0.5.9", "10.0.6.0")


def test_a_host_of_a_rule_or_of_an_own_address_is_like_no_other() -> None:
    found = classes(
        chain("-s 10.0.0.5/32 -j MARK --set-xmark 0x4000/0x4000"),
        chain("-s 10.0.0.6/32 -j MARK --set-xmark 0x4000/0x4000"),
        Address(ns=NS, dev="eth0", ip=IPv4Interface("10.0.0.7/24")),
        Address(ns=NS, dev="eth0", ip=IPv4Interface("10.0.0.8/24")),
    )

    hosts = [f"10.0.0.{last}" for last in (5, 6, 7, 8, 9)]
    assert len({found[number(host)] for host in hosts}) == len(hosts)


def test_hosts_that_routes_neighbours_and_elements_say_the_same_of_are_alike() -> None:
    def said(host: str, mac: str) -> list[Fact]:
        address = IPv4Address(host)
        return [
            Route(ns=NS, table=2, dst=IPv4Network(host), dev="private-a"),
            Neighbour(ns=NS, dev="private-a", ip=address, mac=mac),
            element(f"{mac} . {host}"),
        ]

    one, other = "02:00:00:00:00:01", "02:00:00:00:00:02"
    found = classes(*said("10.0.0.5", one), *said("10.0.0.6", one), *said("10.0.0.7", other))

    assert are_alike(found, "10.0.0.5", "10.0.0.6")
    assert not are_alike(found, "10.0.0.5", "10.0.0.7")
    assert not are_alike(found, "10.0.0.5", "10.0.0.9")


def test_hosts_of_routes_that_differ_in_anything_are_not_alike() -> None:
    def route(host: str, dev: str = "eth0", via: IPv4Address | None = None) -> Route:
        return Route(ns=NS, table=254, dst=IPv4Network(host), dev=dev, via=via)

    found = classes(
        route("10.0.0.5"), route("10.0.0.6", via=NEXT_HOP), route("10.0.0.7", dev="eth1")
    )

    assert len({found[number(f"10.0.0.{last}")] for last in (5, 6, 7)}) == 3


def test_an_element_that_names_two_hosts_separates_both() -> None:
    found = classes(element("10.0.0.5 . 10.0.0.6"), element("10.0.0.7 . 10.0.0.8"))

    assert not are_alike(found, "10.0.0.5", "10.0.0.7")
    assert not are_alike(found, "10.0.0.6", "10.0.0.8")


def test_the_hosts_that_a_map_leads_to_are_told_apart() -> None:
    found = classes(element("80", "10.0.0.5 . 8080"), element("81", "10.0.0.6 . 8080"))

    assert not are_alike(found, "10.0.0.5", "10.0.0.6")


def test_where_rules_look_at_bits_of_addresses_all_are_told_apart() -> None:
    found = classes(chain("ip daddr & 0.0.0.1 == 0.0.0.1 drop"))

    assert not are_alike(found, "10.0.0.5", "10.0.0.6")
