"""The union of what the parts of a lab want."""

import pytest

from testbed.errors import TestbedError
from testbed.net.facts import Fact, Sysctl
from testbed.plan import united

ON = Sysctl(ns="n1", name="net.ipv4.ip_forward", value="1")
OFF = Sysctl(ns="n1", name="net.ipv4.ip_forward", value="0")
ELSEWHERE = Sysctl(ns="n2", name="net.ipv4.ip_forward", value="0")


def test_facts_that_several_want_are_one() -> None:
    assert united([ON, ELSEWHERE, Sysctl(ns="n1", name=ON.name, value="1")]) == {ON, ELSEWHERE}


def test_two_plans_for_one_thing_are_a_bug_that_is_named() -> None:
    """Which of them the kernel had in the end would be chance."""
    facts: list[Fact] = [ON, ELSEWHERE, OFF]

    with pytest.raises(TestbedError, match=r"two plans for one thing: .*ip_forward.*ip_forward"):
        united(facts)
