"""What the tests share: the shipped topologies, and labs that are up."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.lab import Lab
from testbed.load import load

# What starts the tests may ignore these: a shell does for its jobs in the background, nohup too.
AT_A_TERMINAL: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGQUIT: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
    signal.SIGTERM: signal.SIG_DFL,
}
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


def pytest_configure(config: pytest.Config) -> None:
    """Nothing of a test's outcome is chance, or depends on who has started the tests."""
    _draw_the_same_for_everybody(config)
    _have_signals_as_at_a_terminal()


def _draw_the_same_for_everybody(config: pytest.Config) -> None:
    """What hypothesis draws; an example may take as long as it likes.  --seed: others."""
    settings.register_profile(
        "same",
        derandomize=not config.getoption("--seed"),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("same")


def _have_signals_as_at_a_terminal() -> None:
    """Ignored and blocked signals are inherited, through everything that is started."""
    for number, handler in AT_A_TERMINAL.items():
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, AT_A_TERMINAL)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--golden-update`: rewrite the golden files instead of comparing with them.

    `--rounds`, `--seed`, or TESTBED_ROUNDS and TESTBED_SEED: more of what is random, or other.
    """
    parser.addoption("--golden-update", action="store_true")
    for name, default, meaning in (
        ("rounds", 10, "how much of what is random: labs killed, inputs tried"),
        ("seed", 0, "the dice of a run that failed"),
    ):
        given = os.environ.get(f"TESTBED_{name.upper()}", default)
        parser.addoption(f"--{name}", type=int, default=int(given), help=meaning)


@pytest.fixture
def golden_update(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten."""
    return bool(request.config.getoption("--golden-update"))
