"""What goes wrong in one process is told by another."""

import pickle

import pytest

from testbed.errors import (
    AwsError,
    CheckFailed,
    DescriptionError,
    Inconclusive,
    KernelError,
    MissingFeature,
    TestbedError,
    UsageError,
    Where,
)

WHERE = Where("lab.yaml", 7, "vpcs.main.cidrs")


@pytest.mark.parametrize(
    "error",
    [
        TestbedError("nobody has thought of it"),
        CheckFailed("1 of 6 pairs fails"),
        UsageError("no 'web' in this lab"),
        Inconclusive("the probe was blind"),
        MissingFeature("no vlan links"),
        KernelError("node-1: no buffer space"),
        DescriptionError("expected a range", WHERE),
        DescriptionError("expected a range"),
        AwsError("InvalidVpc.Range", "a /30 is too small", WHERE),
    ],
    ids=lambda error: str(error)[:40],
)
def test_an_error_comes_whole_out_of_another_process(error: TestbedError) -> None:
    error.add_note("where it arose")

    again = pickle.loads(pickle.dumps(error))

    assert type(again) is type(error)
    assert (str(again), again.exit_code) == (str(error), error.exit_code)
    assert vars(again) == vars(error), "the place, the code and the notes too"
