"""Inputs that nobody has designed: how many of each kind, and the one way to try them.

pytest tests/inputs tests/cli/test_command_fuzz.py --rounds 100 [--seed N]    # ten times as many
"""

from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

Input = TypeVar("Input")

PROMISED = 1000  # different ones in every run of the tests
ROUNDS = 10  # --rounds without being asked for more
SHARES = {  # by the test that tries them
    "test_any_text": 60,
    "test_any_tree_under_the_right_names": 80,
    "test_the_eks_lab_with_another_value_somewhere": 100,
    "test_the_eks_lab_with_another_name_somewhere": 80,
    "test_the_eks_lab_with_a_piece_torn_out": 80,
    "test_a_topology_as_the_schema_has_it": 80,
    "test_manifests_as_the_schema_has_them": 240,
    "test_documents_of_any_shape": 60,
    "test_a_manifest_with_a_piece_torn_out": 60,
    "test_whatever_is_typed_has_an_answer": 180,
}


def tried(
    request: pytest.FixtureRequest,
    inputs: st.SearchStrategy[Input],
    check: Callable[[Input], object],
) -> None:
    """Check as many different inputs as is this test's share, the same ones for everybody.

    --rounds: more of them; --seed: others.
    """
    rounds, dice = (int(request.config.getoption(name)) for name in ("--rounds", "--seed"))
    share = SHARES[request.node.originalname] * rounds // ROUNDS
    seen: set[str] = set()
    same = not dice and rounds <= ROUNDS

    @settings(
        max_examples=share + share // 4 if same else 2 * share,  # some come twice
        derandomize=same,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs)
    def answered(one: Input) -> None:
        seen.add(repr(one))
        check(one)

    (seed(dice)(answered) if dice else answered)()
    assert len(seen) >= share, "the promise is of different inputs"
