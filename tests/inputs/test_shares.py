"""A thousand inputs are tried in every run: topologies, manifests and command lines."""

import re
from pathlib import Path

from tests.inputs.shares import PROMISED, SHARES

FUZZERS = [*Path(__file__).parent.glob("test_*.py"), *Path(__file__).parents[1].glob("cli/*.py")]


def test_all_shares_together_are_what_is_promised() -> None:
    """Each test proves its own; none is left without a test."""
    written = "".join(file.read_text() for file in FUZZERS)

    assert sum(SHARES.values()) >= PROMISED
    assert set(SHARES) <= set(re.findall(r"def (test_\w+)", written))
