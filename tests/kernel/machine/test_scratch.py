"""A child that works: what it tells on the way, what it returns, how it ends."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from testbed.errors import KernelError, UsageError
from testbed.kernel.machine.scratch import Tell, child, in_child

pytestmark = pytest.mark.kernel


def test_what_the_work_tells_is_heard_while_it_goes_on() -> None:
    """Each word before the next thing the child waits for; the last is what it returned."""
    heard: list[str] = []
    reader, writer = os.pipe()

    def work(tell: Tell) -> str:
        tell("first")
        tell(os.read(reader, 16).decode())
        return "returned"

    def hear(word: str) -> None:
        heard.append(word)
        if word == "first":
            os.write(writer, b"second")

    try:
        with child(work) as worker:
            assert worker.result(hear) == "returned"
    finally:
        os.close(reader)
        os.close(writer)
    assert heard == ["first", "second"]


def test_a_listener_who_refuses_ends_the_child() -> None:
    told: list[int] = []

    def work(tell: Tell) -> None:
        tell(os.getpid())
        signal.pause()

    def hear(pid: int) -> None:
        told.append(pid)
        raise UsageError("not that")

    with pytest.raises(UsageError, match="not that"), child(work) as worker:
        worker.result(hear)
    assert not Path(f"/proc/{told[0]}").exists(), "it is buried"


def test_a_block_that_fails_ends_the_child() -> None:
    """Nothing goes on behind the back of who has given up."""
    reader, writer = os.pipe()

    def work(_tell: Tell) -> None:
        os.write(writer, str(os.getpid()).encode())
        signal.pause()

    try:
        with child(work):
            pid = int(os.read(reader, 16))
            raise UsageError("not that")
    except UsageError:
        pass
    finally:
        os.close(reader)
        os.close(writer)
    assert not Path(f"/proc/{pid}").exists(), "it is buried"


def raise_one() -> None:
    raise UsageError("no such pod")


@pytest.mark.parametrize(
    ("work", "error", "words"),
    [
        (raise_one, UsageError, "no such pod"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), KernelError, "without an answer"),
        (signal.pause, KernelError, "within 0.2 s"),
    ],
)
def test_how_a_child_ends_badly(
    work: Callable[[], None], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        in_child(work, timeout_s=0.2 if work is signal.pause else 60)
