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
    printable,
    told,
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


def test_a_module_that_finds_no_memory_is_no_bug_of_ours() -> None:
    """What Python says when mmap(2) fails in dlopen(3)."""
    said = ImportError("_core.so: failed to map segment from shared object")

    assert isinstance(told(said), MissingFeature)
    assert "(a bug)" in str(told(ImportError("no module named core")))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("abc\u202edef\x9b", "abc\\u202edef\\x9b"),
        ("two\nlines", "two\nlines"),
        ("größe 节点", "größe 节点"),
        ("half \ud800", "half \\ud800"),
    ],
)
def test_no_message_moves_the_cursor_or_turns_lines(text: str, shown: str) -> None:
    assert printable(text) == shown
