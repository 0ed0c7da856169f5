"""What the tests share: the shipped topologies, and labs that are up."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.lab import Lab
from testbed.load import load

TOPOLOGIES = Path(__file__).parents[1] / "topologies"


@pytest.fixture(scope="session")
def topologies() -> Path:
    """The directory of the shipped topologies."""
    return TOPOLOGIES


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    """The lab of `topologies/eks.yaml`, up."""
    with bring_up(load(TOPOLOGIES / "eks.yaml")) as lab:
        yield lab


@pytest.fixture
def beds() -> Iterator[Callable[[Lab], Bed]]:
    """Brings any lab up; all are gone after the test."""
    with ExitStack() as undo:
        yield lambda lab: undo.enter_context(bring_up(lab))


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--golden-update`: rewrite the golden files instead of comparing with them."""
    parser.addoption("--golden-update", action="store_true")
    parser.addoption("--rounds", type=int, default=10, help="how often a lab is killed")
    parser.addoption("--seed", type=int, default=0, help="the dice of a run that failed")


@pytest.fixture
def golden_update(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten."""
    return bool(request.config.getoption("--golden-update"))
