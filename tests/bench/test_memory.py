"""A pod's memory and a node's are told apart."""

import pytest

from bench.contests.memory import Shape, cost
from bench.rounds import Results
from bench.runs.lab import large
from testbed.allocations import allocate

ALWAYS, NODE, POD = 5000.0, 800.0, 330.0
LARGE, EMPTIER, FEWER = Shape(100, 30), Shape(100, 15), Shape(20, 30)


def test_a_pod_more_is_not_charged_for_nodes() -> None:
    """Two labs with the same nodes differ by pods alone; what every lab has is in none of them."""
    kib = {
        f"lab {shape}": {"kib": ALWAYS + NODE * shape.nodes + POD * shape.pods}
        for shape in (LARGE, EMPTIER, FEWER)
    }

    found = cost(Results((kib,)), "lab", "kib", (LARGE, EMPTIER, FEWER))

    assert found.pod == pytest.approx(POD)
    assert found.node == pytest.approx(NODE)
    assert found.both == pytest.approx(POD + NODE / 30)


def test_half_of_the_pods_need_as_many_enis() -> None:
    """Else a pod more would be charged for a part of an ENI."""
    full, half = (
        [eni for eni in allocate(large(1, pods)).enis if eni.instance == "node-0"]
        for pods in (30, 15)
    )

    assert len(full) == len(half) == 3
    assert [len(eni.addresses) for eni in full] == [len(eni.addresses) for eni in half]
