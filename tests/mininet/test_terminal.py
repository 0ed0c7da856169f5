"""Mininet's prompt on a terminal: keys, ^C, Tab, and the end of it."""

import os
import pty
import select
import signal
import sys
import time
from collections.abc import Callable

import pytest

from testbed.kernel.machine.scratch import in_scratch
from tests.mininet.lab import build, open_prompt, processes
from tests.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.kernel


SEEN_S = 2.0  # a second ^C too soon would interrupt what comes next


class Terminal:
    """The prompt on a terminal of its own, driven by keys (state: what it has shown so far)."""

    def __init__(self) -> None:
        self.child, self.keys = pty.fork()
        self.shown = ""
        if self.child == 0:
            os.environ["HOME"] = "/proc"  # where no history can be written
            sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
            open_prompt()
            os._exit(0)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.keys, keys.encode())

    def expect(self, text: str) -> str:
        """Wait until the terminal shows `text`; everything up to there."""
        assert self.shows(text, PATIENCE_S), f"no {text!r} in {self.shown!r}"
        before, _, self.shown = self.shown.partition(text)
        return before

    def shows(self, text: str, timeout_s: float) -> bool:
        """Whether the terminal shows `text` within this time."""
        deadline = time.monotonic() + timeout_s
        while text not in self.shown:
            if not select.select([self.keys], [], [], max(0, deadline - time.monotonic()))[0]:
                return False
            self.shown += os.read(self.keys, 4096).decode()
        return True

    def interrupt(self) -> None:
        """Press ^C until it is seen.

        Python's input() does not see one that comes between showing the prompt and waiting.
        """
        presses = 0
        while not self.shows("Interrupt", SEEN_S):
            presses += 1
            assert presses < 10, f"no interrupt in {self.shown!r}"
            self.type("\x03")
        self.expect("Interrupt")


def on_a_terminal(work: Callable[[Terminal], None]) -> None:
    """Drive the prompt over a lab of its own; it ends by itself and leaves nothing."""

    def all_of_it() -> list[str]:
        build()
        terminal = Terminal()
        terminal.expect("mininet> ")
        work(terminal)
        terminal.type("exit\n")
        assert os.waitpid(terminal.child, 0)[1] == 0
        return processes()

    assert in_scratch(all_of_it, timeout_s=4 * PATIENCE_S) == []


def test_ctrl_c_interrupts_the_command_and_not_the_prompt() -> None:
    """ping without -c runs until it is interrupted, and then prints its statistics."""

    def keys(terminal: Terminal) -> None:
        terminal.type("web-0 ping client\n")
        terminal.expect("icmp_seq=1 ")
        terminal.type("\x03")
        assert "0% packet loss" in terminal.expect("mininet> ")
        terminal.type("web-0 echo still $((40 + 2))\n")
        terminal.expect("still 42")
        terminal.expect("mininet> ")

    on_a_terminal(keys)


def test_ctrl_c_at_the_prompt_and_in_pingall_keeps_the_session() -> None:
    """Mininet's `Interrupt`, and no command after it gets the answer of the one before."""

    def keys(terminal: Terminal) -> None:
        terminal.interrupt()
        terminal.type("link client node-1 down\n")
        terminal.expect("mininet> ")
        terminal.type("pingall 30\n")
        terminal.expect("web-0 -> kube-system.coredns-0 ")
        terminal.interrupt()
        terminal.expect("mininet> ")
        terminal.type("web-0 echo still $((40 + 2))\n")
        terminal.expect("still 42")
        terminal.expect("mininet> ")

    on_a_terminal(keys)


def test_what_is_typed_while_a_command_runs_goes_to_the_command() -> None:
    """`read` gets the line; an Enter too many does not put later answers out of step."""

    def keys(terminal: Terminal) -> None:
        terminal.type("web-0 read line; echo got $line; sleep 0.2\n")
        terminal.type("hello\n\n\n")
        terminal.expect("got hello")
        terminal.expect("mininet> ")
        terminal.type("web-0 echo one\n")
        terminal.expect("\r\none\r\n")
        terminal.expect("mininet> ")
        terminal.type("client echo two\n")
        terminal.expect("\r\ntwo\r\n")
        terminal.expect("mininet> ")

    on_a_terminal(keys)


def test_names_with_hyphens_and_dots_are_completed() -> None:
    """Tab after `kube-system.c` has one answer."""

    def keys(terminal: Terminal) -> None:
        terminal.type("kube-system.c\t echo $((40 + 2))\n")
        terminal.expect("kube-system.coredns-0 echo")
        terminal.expect("42")
        terminal.expect("mininet> ")

    on_a_terminal(keys)


def test_a_killed_prompt_takes_its_shells_with_it() -> None:
    """Closing the terminals hangs the shells up, however the prompt ended."""

    def work() -> None:
        build()
        terminal = Terminal()
        terminal.expect("mininet> ")
        terminal.type("web-0 sleep 100\n")
        wait_until(lambda: "sleep 100 " in processes())
        os.kill(terminal.child, signal.SIGKILL)
        os.waitpid(terminal.child, 0)
        wait_until(lambda: processes() == [])

    in_scratch(work, timeout_s=4 * PATIENCE_S)
