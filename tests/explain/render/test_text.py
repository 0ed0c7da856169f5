"""The answer as text: what a lecturer shows on a terminal, at any width."""

from dataclasses import replace

import pytest

from testbed.explain.answer import Answer
from testbed.explain.compare import difference
from testbed.explain.journey import NetfilterStep
from testbed.explain.render.text import text
from tests.explain import journeys


def _answers() -> list[Answer]:
    differing = journeys.explained(journeys.other_node(), observed=journeys.source_checked())
    return [
        journeys.explained(journeys.same_node()),
        journeys.explained(journeys.other_node(), observed=journeys.other_node()),
        journeys.explained(journeys.to_internet(), journeys.node_port()),
        journeys.explained(journeys.asymmetric()),
        replace(
            differing,
            difference=difference(differing.predicted, journeys.source_checked()),
            edits=("delete rule node-1 1536",),
            contradictions=("taps saw eth0, tracefs saw eth1",),
        ),
    ]


def _has(shown: str, expected: str) -> bool:
    """Whether these lines stand in the text, below each other."""
    return expected.strip("\n") in shown


def test_a_node_is_told_from_its_packet_to_its_neighbour() -> None:
    shown = text(journeys.explained(journeys.other_node()))

    assert _has(
        shown,
        """
● node-1                                                   eni4448cbddedf → eth1
│ packet  10.0.1.13:40112 → 10.0.2.6:80  ttl 64 ⇒ 63
│ rules   mangle PREROUTING
│           -i eni+ -m comment --comment "AWS, primary ENI" -j CONNMARK
│             --restore-mark --nfmask 0x80 --ctmask 0x80 → continue
│           ↳ the pod's packets of a marked connection get the mark: rule 1024
│             then picks eth0
│         nat PREROUTING
│           -i eni+ -m comment --comment "AWS, outbound connections"
│             -j AWS-CONNMARK-CHAIN-0 → jump
│           ↳ a pod opens a connection: will it be translated?
│         nat AWS-CONNMARK-CHAIN-0
│           -d 10.0.0.0/16 -m comment --comment "AWS CONNMARK CHAIN" -j RETURN
│             → return
│           ↳ 10.0.0.0/16 sees pods' addresses
│ route   1536: from 10.0.1.13 lookup 2
│         table 2: default via 10.0.1.1 dev eth1
│           ↳ from a pod: out of the ENI that owns its address
│             (amazon-vpc-cni-k8s: 1536)
│ next    10.0.1.1 lladdr 0a:ff:ff:ff:ff:01 REACHABLE
""",
    )


def test_a_mark_stands_between_the_rule_that_sets_it_and_the_route_that_goes_by_it() -> None:
    shown = text(journeys.explained(journeys.to_internet()))

    assert _has(
        shown,
        """
│           ↳ to be translated to eth0's address, so it must leave by eth0
│ mark    0x0 ⇒ 0x80
│ route   1024: from all fwmark 0x80/0x80 lookup main
""",
    )
    assert "│ nat     source 10.0.1.13:40112 ⇒ 10.0.1.4:47751\n" in shown


def test_a_drop_says_where_why_and_what_to_change() -> None:
    shown = text(journeys.explained(journeys.source_checked()))

    assert _has(
        shown,
        """
✗ dropped in vpc-main
  ENI_SOURCE_DEST_CHECK_RESTRICTION
  source check: 10.0.1.13 is no address of the ENI behind node-1's eth0
→ Send it by the ENI that owns the address: `ip rule add from 10.0.1.13 lookup 2
  priority 1536` on node-1.
""",
    )
    assert "│ vpc     ✗ source check: 10.0.1.13 is not an address" in shown


def test_the_reply_is_a_line_for_each_namespace() -> None:
    shown = text(journeys.explained(journeys.to_internet()))

    assert "the reply, tcp SYN,ACK\n  internet  made here → igw-main\n" in shown
    assert "  igw-main  internet → vpc · 192.0.2.4:1024 ⇒ 10.0.101.4:1024\n" in shown


def test_a_reply_that_dies_is_a_verdict_of_its_own() -> None:
    shown = text(journeys.explained(journeys.asymmetric()))

    assert "✗ delivered to client, but its reply was dropped in node-1\n" in shown
    assert "X_RP_FILTER" in shown
    assert "! Not the same way: node-1 sent it by eth1 and gets the reply by eth0\n" in shown


def test_what_nobody_was_told_of_is_dropped_and_not_refused() -> None:
    """Such as a packet too big, where the ICMP error about it was lost."""
    asked, lost = journeys.source_checked(), journeys.asymmetric().back
    assert lost is not None
    heard = replace(lost, end=replace(lost.end, delivered=True))

    assert "✗ dropped in vpc-main" in text(journeys.explained(replace(asked, back=lost)))
    assert "✗ refused in vpc-main" in text(journeys.explained(replace(asked, back=heard)))


def test_predicted_and_observed_stand_side_by_side_where_they_differ() -> None:
    shown = text(_answers()[-1])

    assert _has(
        shown,
        """
predicted                                observed
web-3 → eth0                           = web-3 → eth0
node-1 → eth1                          ≠ node-1 → eth0
vpc-main → node-2-e0                   ≠ ✗ vpc-main
""",
    )
    assert "≠ First difference: node-1, rule: predicted 1536" in shown
    assert "! The witnesses contradict: taps saw eth0, tracefs saw eth1\n" in shown
    assert "what if: delete rule node-1 1536\n" in shown


def test_other_branches_of_a_random_choice_are_told_in_short() -> None:
    answer = journeys.explained(journeys.other_node(), journeys.node_port())

    assert "by chance as well\n  ✓ 50% of the time delivered to client\n" in text(answer)
    assert "  igw-main  internet → vpc" not in text(answer)
    assert "  igw-main  internet → vpc" in text(answer, full=True)

    other = journeys.node_port()
    rare = replace(other, there=replace(other.there, probability=1 / 16384), back=None)
    answer = journeys.explained(journeys.other_node(), rare)
    assert "  ✓ less than 1% of the time delivered to client\n" in text(answer)


@pytest.mark.parametrize("width", [24, 40, 60, 80, 132])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    for answer in _answers():
        lines = text(answer, width).splitlines()
        assert max(map(len, lines)) <= width, "\n".join(lines)


@pytest.mark.parametrize("width", [40, 80])
def test_nothing_is_lost_on_a_narrow_terminal(width: int) -> None:
    """Every rule is there in full, however it is folded."""
    for answer in _answers():
        shown = "".join(text(answer, width).replace("│", "").split())
        for visit in answer.shown.there.visits:
            for step in visit.steps:
                if isinstance(step, NetfilterStep):
                    assert "".join(step.rule.split()) in shown
                assert "".join(step.why.split()) in shown


def test_colour_adds_nothing_but_colour() -> None:
    for answer in _answers():
        coloured = text(answer, colour=True)
        bare = coloured
        for code in ("1", "2", "31;1", "32;1", "33;1", "36", "0"):
            bare = bare.replace(f"\033[{code}m", "")

        assert coloured != bare
        assert [line.rstrip() for line in bare.splitlines()] == text(answer).splitlines()
