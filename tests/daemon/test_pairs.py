"""All pairs shared out to processes: the same answers as one process has."""

from functools import partial
from pathlib import Path

import pytest

from testbed.allocations import allocate
from testbed.daemon.questions import pairs
from testbed.explain.reachability import reachability
from testbed.explain.walk.predict import failure
from testbed.explain.walk.world import World
from testbed.load import load
from testbed.plan import endpoints, plan

SLIDES = Path(__file__).parents[2] / "topologies" / "eks-slides.yaml"


def test_shared_out_pairs_have_the_answers_of_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = load(SLIDES)
    allocations = allocate(lab)
    world, pods = World.planned(plan(lab, allocations)), endpoints(lab, allocations)
    monkeypatch.setattr(pairs, "MANY", 2)

    found = pairs.all_pairs(world, pods)

    assert found == reachability(partial(failure, world), pods, pods)
    assert len(found) > len(pods)
