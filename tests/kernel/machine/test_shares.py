"""Computing shared out: every item once, errors are the caller's, and no child stays."""

import os

import pytest

from testbed.kernel.machine.shares import dealt, shared_out


def test_every_item_is_worked_on_once_and_elsewhere() -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one processor: nothing to share")

    found = shared_out(lambda share: (os.getpid(), sorted(share)), range(7))

    assert sorted(item for _, share in found for item in share) == list(range(7))
    assert os.getpid() not in {process for process, _ in found}
    assert len({process for process, _ in found}) == len(found) > 1


def test_nothing_and_one_item_need_no_child() -> None:
    assert shared_out(list, []) == []
    assert shared_out(lambda share: os.getpid() * len(share), ["one"]) == [os.getpid()]


def test_what_the_work_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        shared_out(lambda share: [1 // item for item in share], [1, 0, 1])


def test_shares_are_of_about_equal_weight() -> None:
    """A VPC's router has a third of a lab's facts."""
    assert dealt([1, 1, 9, 1, 1, 1, 1, 1, 1], 2, float) == [[9], [1] * 8]
    assert dealt("abcde", 2, lambda item: 1.0) == [["a", "c", "e"], ["b", "d"]]
    assert dealt("a", 2, lambda item: 1.0) == [["a"]]
