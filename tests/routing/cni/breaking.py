"""Ways to break the reference's node, and words for what `explain` then says."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from testbed.bed import Bed
from testbed.net.facts import Chain, Fact, Sysctl
from tests.routing.cni.conftest import Explained

BOTH = pytest.mark.parametrize("profile", ["slides", "current"])
SOURCE_CHECK = ("vpc-main", "ENI_SOURCE_DEST_CHECK_RESTRICTION")
NODE = "node-1"


def dies(seen: Explained, *cause: str) -> bool:
    """Whether that is the cause, predicted as observed."""
    assert seen.difference is None, seen.difference
    assert not seen.delivered
    assert seen.end.advice
    return seen.cause == cause


def works(seen: Explained) -> bool:
    assert seen.difference is None, seen.difference
    return seen.delivered


@contextmanager
def instead(bed: Bed, fact: Fact, other: Fact) -> Iterator[None]:
    bed.change(bed.state - {fact} | {other})
    try:
        yield
    finally:
        bed.change(bed.state)


@contextmanager
def changed(bed: Bed, place: str, change: str, undo: str) -> Iterator[None]:
    """Something the plan does not know, by a command, and the command that takes it away."""
    assert bed.run(place, *change.split()).returncode == 0
    try:
        yield
    finally:
        assert bed.run(place, *undo.split()).returncode == 0
    assert not bed.drift()


def without_rules(bed: Bed, table: str, chain: str, part: str) -> Chain:
    """A chain of the node without the rules that hold these words."""
    fact = bed.fact(Chain, ns=NODE, table=table, name=chain)
    left = tuple(rule for rule in fact.rules if part not in rule.text)
    assert left != fact.rules, "premise: there is such a rule"
    return replace(fact, rules=left)


def filter_of(bed: Bed, dev: str) -> Sysctl:
    return bed.fact(Sysctl, ns=NODE, name=f"net.ipv4.conf.{dev}.rp_filter")
