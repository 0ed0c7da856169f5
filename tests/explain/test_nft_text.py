"""Rules of load balancers taken apart, as nft prints them."""

import pytest

from testbed.explain.netfilter.conditions import (
    ChangePlaces,
    Field,
    Lookup,
    Matches,
    NotUnderstood,
    ParsedRule,
    Reject,
    SetField,
    Verdict,
)
from testbed.explain.netfilter.nft.text import parse
from testbed.vpc.fabric.frames import ANSWER

TCP = Matches((Field("protocol"),), (("tcp",),))


@pytest.mark.parametrize("seed", ["", " seed 0x1"])
def test_a_hash_of_the_flow_is_a_draw(seed: str) -> None:
    """Which one it is depends on a port that nobody knows before."""
    text = f"jhash ip saddr . tcp sport mod 2{seed} vmap {{ 0 : goto a, 1 : goto b }}"

    [action] = parse(text).actions

    assert action == Lookup(draw=2, elements=(((0,), "goto a"), ((1,), "goto b")))


def test_only_tcp_is_reset() -> None:
    """The protocol is asked for, and not printed."""
    assert parse("reject with tcp reset") == ParsedRule((TCP,), (Reject("RST"),))
    assert parse("reject") == ParsedRule((), (Reject("port-unreachable"),))


def test_a_request_is_turned_round_by_statements_that_are_known_together() -> None:
    """Each of them alone moves bytes, and nobody guesses what that does."""
    [whole] = [rule.text for rule in ANSWER if "@nh" in rule.text]

    turned = parse(whole)

    assert turned.conditions == ()
    assert turned.actions == (
        SetField("dmac", other="smac"),
        SetField("smac", fields=(Field("destination"),), map="macs"),
        ChangePlaces(),
        SetField("kind", "reply"),
        Verdict("accept"),
    )
    assert isinstance(parse("@nh,144,40 set @nh,104,40").conditions[0], NotUnderstood)
