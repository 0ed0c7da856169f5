"""The union of what the parts of a lab want."""

from pathlib import Path

import pytest

from testbed.allocations import allocate
from testbed.errors import TestbedError
from testbed.load import load
from testbed.net.facts import Netns, Sysctl
from testbed.plan import check, plan

TOPOLOGIES = sorted(Path(__file__).parents[1].glob("topologies/*.yaml"))

ON = Sysctl(ns="n1", name="net.ipv4.ip_forward", value="1")
OFF = Sysctl(ns="n1", name="net.ipv4.ip_forward", value="0")
ELSEWHERE = Sysctl(ns="n2", name="net.ipv4.ip_forward", value="0")


def test_two_plans_for_one_thing_are_a_bug_that_is_named() -> None:
    """Which of them the kernel had in the end would be chance."""
    check(frozenset({ON, ELSEWHERE}))

    with pytest.raises(TestbedError, match=r"two plans for one thing: .*ip_forward.*ip_forward"):
        check(frozenset({ON, ELSEWHERE, OFF}))


@pytest.mark.parametrize("file", TOPOLOGIES, ids=lambda file: file.stem)
def test_nearly_all_namespaces_are_known_before_the_plan(file: Path) -> None:
    """So many are made while a new lab is planned: one too many would be made for nothing."""
    lab = load(file)
    allocations = allocate(lab)

    planned = {fact.ns for fact in plan(lab, allocations) if isinstance(fact, Netns)}

    assert allocations.namespaces <= planned
    pods = {pod.pod for pod in allocations.pods if not pod.host_network}
    nodes = {node.name for cluster in lab.clusters for node in cluster.nodes}
    assert pods | nodes <= allocations.namespaces
