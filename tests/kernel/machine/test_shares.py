"""Computing shared out: every item once, errors are the caller's, and no child stays."""

import os
import select
from collections.abc import Iterator

import pytest

from testbed.kernel.machine.shares import PORTIONS, shared_out
from tests.waiting import PATIENCE_S

ITEMS = range(100)


@pytest.mark.parametrize("count", [7, 3 * PORTIONS])
def test_every_item_is_worked_on_once_and_elsewhere(count: int) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one processor: nothing to share")

    found = shared_out(lambda share: (os.getpid(), sorted(share)), range(count))

    assert sorted(item for _, share in found for item in share) == list(range(count))
    assert os.getpid() not in {process for process, _ in found}
    assert len({process for process, _ in found}) == len(found) > 1


def test_nothing_and_one_item_need_no_child() -> None:
    assert shared_out(list, []) == []
    assert shared_out(lambda share: os.getpid() * len([*share]), ["one"]) == [os.getpid()]


def test_what_the_work_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        shared_out(lambda share: [1 // item for item in share], [1, 0, 1])


def test_the_heaviest_goes_first_and_who_is_done_is_given_the_next() -> None:
    """A VPC's router takes as long as five nodes with their pods."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one processor: nothing to share")
    reader, writer = os.pipe()

    def work(share: Iterator[int]) -> list[int]:
        taken = []
        for item in share:
            taken.append(item)
            if item == max(ITEMS):
                select.select([reader], [], [], PATIENCE_S)
            elif item == min(ITEMS):
                os.write(writer, b"all others are given out")
        return taken

    found = shared_out(work, ITEMS, float)

    os.close(reader)
    os.close(writer)
    assert [max(ITEMS)] in found
    assert sorted(item for share in found for item in share) == [*ITEMS]
