"""What if: edits in the words of `ip`, `sysctl` and `iptables`, and what is wrong with others."""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

import pytest

from testbed.errors import UsageError
from testbed.explain.what_if.edits import edited
from testbed.net.facts import (
    MAIN,
    Address,
    Chain,
    ChainRule,
    Fdb,
    Neighbour,
    NftChain,
    NftElement,
    Route,
    Rule,
    State,
    Sysctl,
    Veth,
)

NS = "node-1"
POD = IPv4Network("10.0.1.13/32")
DROP = ChainRule("-s 10.0.1.13/32 -j DROP")
ACCEPT = ChainRule("-j ACCEPT")

ETH0 = Veth(ns=NS, name="eth0", peer_ns="vpc", peer="n-1", mac="02:00:00:00:00:01", mtu=9001)
FROM_POD = Rule(ns=NS, priority=1536, src=POD, table=2)
FROM_OTHER = Rule(ns=NS, priority=1536, src=IPv4Network("10.0.1.14/32"), table=2)
DEFAULT = Route(
    ns=NS, dst=IPv4Network("0.0.0.0/0"), via=IPv4Address("10.0.1.1"), dev="eth0", metric=512
)
SUBNET = Route(ns=NS, dst=IPv4Network("10.0.1.0/24"), dev="eth0", scope="link", protocol="kernel")
OWN = Address(ns=NS, dev="eth0", ip=IPv4Interface("10.0.1.4/24"))
ROUTER = Neighbour(ns=NS, dev="eth0", ip=IPv4Address("10.0.1.1"), mac="0a:ff:ff:ff:ff:01")
ENTRY = Fdb(ns=NS, dev="eth0", mac="02:00:00:00:00:09")
ELEMENT = NftElement(
    ns=NS, family="bridge", table="vpc", set="assigned", element='"n-1" . 10.0.1.4'
)
FORWARD = Chain(ns=NS, table="filter", name="FORWARD", rules=(DROP, ACCEPT))
NATIVE = NftChain(ns=NS, family="ip", table="vpc", name="forward", rules=(ACCEPT,))
STRICT = Sysctl(ns=NS, name="net.ipv4.conf.eth0.rp_filter", value="1")
ELSEWHERE = Rule(ns="node-2", priority=1536, src=POD, table=2)

STATE: State = frozenset(
    {
        *(ETH0, FROM_POD, FROM_OTHER, DEFAULT, SUBNET, OWN, ROUTER, ENTRY, ELEMENT),
        *(FORWARD, NATIVE, STRICT, ELSEWHERE),
    }
)


def change(edit: str) -> tuple[set[Any], set[Any]]:
    """What an edit takes away, and what it adds."""
    after = edited(STATE, edit)
    return set(STATE - after), set(after - STATE)


@pytest.mark.parametrize(
    ("edit", "gone"),
    [
        ("delete rule node-1 1536", {FROM_POD, FROM_OTHER}),
        ("delete rule node-1 1536 from 10.0.1.13", {FROM_POD}),
        ("delete rule node-1 1536 from 10.0.1.13 lookup 2", {FROM_POD}),
        ("delete route node-1 default", {DEFAULT}),
        ("delete route node-1 default metric 512 table main", {DEFAULT}),
        ("delete route node-1 10.0.1.0/24 dev eth0", {SUBNET}),
        ("delete neighbour node-1 10.0.1.1", {ROUTER}),
        ("delete address node-1 10.0.1.4", {OWN, SUBNET}),
        ("delete fdb node-1 02:00:00:00:00:09", {ENTRY}),
        ("delete element node-1 assigned n-1 . 10.0.1.4", {ELEMENT}),
    ],
)
def test_what_is_deleted_is_gone_and_nothing_else_changes(edit: str, gone: set[Any]) -> None:
    assert change(edit) == (gone, set())


@pytest.mark.parametrize(
    ("edit", "rules"),
    [
        ("delete chain-rule node-1 filter FORWARD 1", (ACCEPT,)),
        ("add chain-rule node-1 filter FORWARD -j LOG", (DROP, ACCEPT, ChainRule("-j LOG"))),
        ("add chain-rule node-1 filter FORWARD 2 -j LOG", (DROP, ChainRule("-j LOG"), ACCEPT)),
        ('add chain-rule node-1 filter INPUT -m comment --comment "a b" -j DROP',
         (ChainRule('-m comment --comment "a b" -j DROP'),)),
        ("add chain-rule node-1 vpc forward drop", (ACCEPT, ChainRule("drop"))),
    ],
)  # fmt: skip
def test_a_chain_has_a_rule_less_or_more(edit: str, rules: tuple[ChainRule, ...]) -> None:
    _, [chain] = change(edit)

    assert chain.rules == rules


def test_a_rule_is_added_in_the_words_of_ip() -> None:
    gone, added = change(
        "add rule node-1 1000 to 10.0.2.0/24 fwmark 0x80/0x80 iif eth0 lookup main"
    )

    assert gone == set()
    assert added == {
        Rule(
            ns=NS,
            priority=1000,
            dst=IPv4Network("10.0.2.0/24"),
            fwmark=0x80,
            fwmask=0x80,
            iif="eth0",
            table=MAIN,
        )
    }


def test_a_route_takes_the_place_of_its_like() -> None:
    assert change("add route node-1 default via 10.0.1.9 dev eth0 metric 512") == (
        {DEFAULT},
        {Route(ns=NS, dst=DEFAULT.dst, via=IPv4Address("10.0.1.9"), dev="eth0", metric=512)},
    )
    assert change("add route node-1 blackhole 10.0.2.0/24 table 2") == (
        set(),
        {Route(ns=NS, dst=IPv4Network("10.0.2.0/24"), kind="blackhole", table=2)},
    )


def test_a_sysctl_is_set_and_a_link_goes_down_with_its_routes() -> None:
    _, [loose] = change("set sysctl node-1 net.ipv4.conf.eth0.rp_filter 2")
    gone, [down] = change("set link node-1 eth0 down")

    assert loose.value == "2"
    assert gone == {ETH0, DEFAULT, SUBNET}
    assert (down.name, down.up) == ("eth0", False)


def test_a_link_gets_another_mtu_and_keeps_its_routes() -> None:
    gone, [smaller] = change("set link node-1 eth0 mtu 1500")

    assert gone == {ETH0}
    assert (smaller.mtu, smaller.up) == (1500, True)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ("delete", "say a verb"),
        ("delete rule 'node-1", "say a verb"),
        ("delete ruel node-1 1", 'did you mean "delete rule"'),
        ("delete rule node-9 1536", "no namespace"),
        ("delete rule node-1 1535", "1536"),
        ("delete rule node-1 x", "is a number, not"),
        ("delete rule node-1 1536 form 10.0.0.1", "did you mean"),
        ("delete rule node-1 1536 from", "the value of from is missing"),
        ("delete rule node-1 1536 from 10.0.1.13/8", "a network"),
        ("delete route node-1 10.9.0.0/16", "10.9.0.0/16"),
        ("delete chain-rule node-1 filter FORWARD 3", "has 2 rules"),
        ("delete chain-rule node-1 filter FORWRAD 1", 'did you mean "filter FORWARD"'),
        ("add chain-rule node-1 filter FORWARD", "the rule is missing"),
        ("add rule node-1 1000 from 10.0.0.0/8", "'lookup TABLE' is missing"),
        ("add rule node-1 1000 fwmark x lookup 2", "a number"),
        ("add route node-1 10.9.0.0/16 via 10.0.1.1", "'dev DEVICE'"),
        ("add route node-1 10.9.0.0/16 dev eth9", "eth0"),
        ("set link node-1 eth0 sideways", "up, down or mtu"),
        ("set link node-1 eth0 mtu", "the MTU is missing"),
        ("set link node-1 eth0 mtu 67", "68 to 65535 bytes"),
        ("set sysctl node-1 ip_forward 1", "ip_forward"),
    ],
)
def test_what_means_nothing_is_one_clear_error(edit: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        edited(STATE, edit)

    assert told in str(error.value)
    assert "\n" not in str(error.value)
