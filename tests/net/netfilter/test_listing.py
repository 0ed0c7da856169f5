"""Chains listed are chains that are read."""

from testbed.net.facts import ChainRule, NftChain
from testbed.net.netfilter.listing import listing
from testbed.net.netfilter.nft import parse_list

HOOK = "type filter hook forward priority filter; policy accept;"


def chain(table: str, name: str, *rules: str, hook: str = "") -> NftChain:
    said = tuple(map(ChainRule, rules))
    return NftChain(ns="node-1", family="ip", table=table, name=name, hook=hook, rules=said)


def test_what_is_listed_is_read_as_the_same() -> None:
    chains = {
        chain("one", "base", "counter jump more", hook=HOOK),
        chain("one", "more", 'iifname "eni*" return', "drop"),
        chain("two", "empty"),
    }

    assert parse_list("node-1", listing(chains)) == chains
    assert listing([]) == ""
