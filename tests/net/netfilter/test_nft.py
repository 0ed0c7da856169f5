"""nft sets, elements and chains as text, both ways."""

from dataclasses import replace
from typing import TypedDict

import pytest

from testbed.net.facts import ChainRule, Fact, NftChain, NftElement, NftSet
from testbed.net.netfilter.nft import parse_list, refusal, script

# nft 1.0.6
BRIDGE = """\
table bridge vpc {
	set assigned {
		type ifname . ether_addr . ipv4_addr
		flags interval
		elements = { "eni-a1" . 0a:00:00:00:01:05 . 10.0.1.5,
			     "eni-a1" . 0a:00:00:00:01:05 . 10.0.1.64/28 }
	}

	set unchecked {
		typeof iifname . ether saddr
	}

	map macs {
		type ipv4_addr : ether_addr
		elements = { 10.0.1.5 : 0a:00:00:00:01:05, 10.0.1.6 : 0a:00:00:00:01:06 }
	}

	chain prerouting {
		type filter hook prerouting priority dstnat; policy drop;
		iifname . ether saddr . ip saddr @assigned goto lift
		counter drop comment "source check"
	}

	chain lift {
		ether daddr set 0a:ff:ff:ff:ff:01 meta pkttype set host accept
	}
}
"""  # noqa: E101 - nft indents so


class Place(TypedDict):
    """Where a set, an element or a chain is."""

    ns: str
    family: str
    table: str


VPC = Place(ns="v", family="bridge", table="vpc")
IP = Place(ns="v", family="ip", table="t")


def _chain(place: Place, name: str, *rules: str, hook: str = "") -> NftChain:
    return NftChain(**place, name=name, hook=hook, rules=tuple(map(ChainRule, rules)))


PORT_AND_ADDRESS = "ifname . ether_addr . ipv4_addr"
A1 = '"eni-a1" . 0a:00:00:00:01:05'

ASSIGNED = NftSet(**VPC, name="assigned", key_type=PORT_AND_ADDRESS, flags="interval")
UNCHECKED = NftSet(**VPC, name="unchecked", key_type="typeof iifname . ether saddr")
MACS = NftSet(**VPC, name="macs", key_type="ipv4_addr", value_type="ether_addr")
ADDRESS = NftElement(**VPC, set="assigned", element=f"{A1} . 10.0.1.5")
PREFIX = NftElement(**VPC, set="assigned", element=f"{A1} . 10.0.1.64/28")
MAC_5 = NftElement(**VPC, set="macs", element="10.0.1.5", value="0a:00:00:00:01:05")
MAC_6 = NftElement(**VPC, set="macs", element="10.0.1.6", value="0a:00:00:00:01:06")
PREROUTING = _chain(
    VPC,
    "prerouting",
    "iifname . ether saddr . ip saddr @assigned goto lift",
    'counter drop comment "source check"',
    hook="type filter hook prerouting priority dstnat; policy drop;",
)
LIFT = _chain(VPC, "lift", "ether daddr set 0a:ff:ff:ff:ff:01 meta pkttype set host accept")
FABRIC: frozenset[Fact] = frozenset(
    {ASSIGNED, UNCHECKED, MACS, ADDRESS, PREFIX, MAC_5, MAC_6, PREROUTING, LIFT}
)


def test_a_listing_is_read_as_sets_elements_and_chains() -> None:
    """Sets by `type` and by `typeof`, maps, long lists over several lines, hooks and rules."""
    assert parse_list("v", BRIDGE) == FABRIC


def test_a_fresh_namespace_gets_sets_then_chains_then_elements_then_rules() -> None:
    """Rules name sets and chains, elements of verdict maps name chains."""
    fresh = """\
add table bridge vpc
add set bridge vpc assigned { type ifname . ether_addr . ipv4_addr; flags interval; }
add map bridge vpc macs { type ipv4_addr : ether_addr; }
add set bridge vpc unchecked { typeof iifname . ether saddr; }
add chain bridge vpc lift
add chain bridge vpc prerouting { type filter hook prerouting priority dstnat; policy drop; }
add element bridge vpc assigned {
	"eni-a1" . 0a:00:00:00:01:05 . 10.0.1.5,
	"eni-a1" . 0a:00:00:00:01:05 . 10.0.1.64/28,
}
add element bridge vpc macs {
	10.0.1.5 : 0a:00:00:00:01:05,
	10.0.1.6 : 0a:00:00:00:01:06,
}
add rule bridge vpc lift ether daddr set 0a:ff:ff:ff:ff:01 meta pkttype set host accept
add rule bridge vpc prerouting iifname . ether saddr . ip saddr @assigned goto lift
add rule bridge vpc prerouting counter drop comment "source check"
"""

    assert script([], FABRIC) == fresh


@pytest.mark.parametrize(
    ("gone", "new", "lines"),
    [
        (set(), set(), ""),
        ({replace(LIFT, why="old")}, {replace(LIFT, why="new")}, ""),
        (
            {ADDRESS},
            {NftElement(**VPC, set="unchecked", element=A1)},
            "delete element bridge vpc assigned {\n"
            '\t"eni-a1" . 0a:00:00:00:01:05 . 10.0.1.5,\n'
            "}\n"
            "add element bridge vpc unchecked {\n"
            '\t"eni-a1" . 0a:00:00:00:01:05,\n'
            "}\n",
        ),
        (
            {MAC_5},
            {replace(MAC_5, value="0a:00:00:00:01:09")},
            "delete element bridge vpc macs {\n\t10.0.1.5 : 0a:00:00:00:01:05,\n}\n"
            "add element bridge vpc macs {\n\t10.0.1.5 : 0a:00:00:00:01:09,\n}\n",
        ),
        (
            {LIFT},
            {replace(LIFT, rules=(ChainRule("accept"),))},
            "flush chain bridge vpc lift\nadd rule bridge vpc lift accept\n",
        ),
        (
            {MACS, MAC_5, MAC_6, PREROUTING},
            {_chain(VPC, "empty")},
            "flush chain bridge vpc prerouting\n"
            "delete map bridge vpc macs\n"
            "delete chain bridge vpc prerouting\n"
            "add chain bridge vpc empty\n",
        ),
        (FABRIC, set(), "delete table bridge vpc\n"),
    ],
    ids=["equal", "why", "elements", "value", "rules", "objects", "table"],
)
def test_a_difference_touches_only_what_differs(
    gone: set[Fact], new: set[Fact], lines: str
) -> None:
    """One address coming or going is one element, however large the fabric is."""
    assert script(FABRIC, FABRIC - gone | new) == lines


@pytest.mark.parametrize(
    ("gone", "new"),
    [
        (UNCHECKED, replace(UNCHECKED, key_type="ifname . ether_addr")),
        (UNCHECKED, replace(UNCHECKED, flags="interval")),
        (PREROUTING, replace(PREROUTING, hook=PREROUTING.hook.replace("drop", "accept"))),
    ],
    ids=["type", "flags", "policy"],
)
def test_a_table_with_another_declaration_is_made_anew(gone: Fact, new: Fact) -> None:
    """The kernel does not delete a set that rules of unchanged chains hold."""
    wanted = FABRIC - {gone} | {new}

    assert script(FABRIC, wanted) == "delete table bridge vpc\n" + script([], wanted)


def test_elements_keep_what_stands_inside_quotes() -> None:
    """A comment may look like the list it stands in."""
    listing = """\
table ip t { # progname nft
	comment "a table } with a comment"
	set c {
		type ipv4_addr
		counter
		elements = { 10.0.0.5 counter comment "one, { 10.0.0.6 : two", 10.0.0.7 counter }
	}

	map m {
		type ifname : verdict
		elements = { "a : b" : goto x, "eni*" : accept }
	}

	chain x {
		comment "why } this"
		log prefix "a, { b" level info
		ip saddr { 10.0.0.0/8, 192.168.0.0/16 } counter drop comment "icmp code 4"
	}
}
"""
    assert parse_list("v", listing) == {
        NftSet(**IP, name="c", key_type="ipv4_addr", options=("counter",)),
        NftElement(**IP, set="c", element='10.0.0.5 counter comment "one, { 10.0.0.6 : two"'),
        NftElement(**IP, set="c", element="10.0.0.7 counter"),
        NftSet(**IP, name="m", key_type="ifname", value_type="verdict"),
        NftElement(**IP, set="m", element='"a : b"', value="goto x"),
        NftElement(**IP, set="m", element='"eni*"', value="accept"),
        _chain(
            IP,
            "x",
            'log prefix "a, { b" level info',
            'ip saddr { 10.0.0.0/8, 192.168.0.0/16 } counter drop comment "icmp code 4"',
        ),
    }


def test_what_packets_put_into_a_set_is_no_fact() -> None:
    """kube-proxy's affinity: the clients of the last three hours."""
    listing = """\
table ip kube-proxy {
	set affinity-x {
		type ipv4_addr
		size 65535	# count 1
		flags dynamic,timeout
		timeout 3h
		elements = { 10.0.0.5 }
	}
}
"""
    affinity = NftSet(
        ns="v",
        family="ip",
        table="kube-proxy",
        name="affinity-x",
        key_type="ipv4_addr",
        flags="dynamic,timeout",
        options=("size 65535", "timeout 3h"),
    )

    assert parse_list("v", listing) == {affinity}
    assert script([], [affinity]).splitlines()[1] == (
        "add set ip kube-proxy affinity-x "
        "{ type ipv4_addr; flags dynamic,timeout; size 65535; timeout 3h; }"
    )


def test_tables_of_iptables_and_objects_of_other_kinds_are_left_out() -> None:
    """nft lists iptables' tables too, with rules it can not express."""
    listing = """\
# Warning: table ip nat is managed by iptables-nft, do not touch!
table ip nat {
	chain POSTROUTING {
		type nat hook postrouting priority srcnat; policy accept;
		 counter packets 0 bytes 0 xt target "CONNMARK"
	}
}
table ip t {
	counter hits {
		packets 5 bytes 420
	}

	ct timeout short {
		protocol tcp
		l3proto ip
		policy = { established : 5m50s }
	}

	chain forward {
	}
}
table inet empty {
}
"""  # noqa: E101 - nft indents so
    assert parse_list("v", listing) == {_chain(IP, "forward")}


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            "/dev/stdin:2:22-27: Error: Could not process rule: No such file or directory\n"
            "add rule ip t c jump nosuch\n                     ^^^^^^\n",
            "Could not process rule: No such file or directory\n"
            "refused: add rule ip t c jump nosuch",
        ),
        (
            "/dev/stdin:4:2-10: Error: Could not resolve hostname: Name or service not known\n",
            "Could not resolve hostname: Name or service not known\nrefused: 1.2.3.400,",
        ),
        (
            "netlink: Error: cache initialization failed: Operation not permitted\n",
            "netlink: Error: cache initialization failed: Operation not permitted",
        ),
        (
            "/dev/stdin:99:1-1: Error: syntax error, unexpected end of file\n",
            "syntax error, unexpected end of file",
        ),
    ],
)
def test_the_refused_line_is_found_from_the_programs_message(message: str, told: str) -> None:
    """nft names the place as line and columns of its input."""
    text = "add table ip t\nadd rule ip t c jump nosuch\nadd element ip t s {\n\t1.2.3.400,\n}\n"

    assert refusal(text, message) == told
