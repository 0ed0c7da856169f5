"""The command line in forks of this process: the same verbs without 0.3 s of imports each.

For a process with one thread, such as the first one of `in_scratch`.
"""

import os
import select
import signal
import sys
from dataclasses import dataclass, field

from testbed.cli import main

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Done:
    """How a verb ended: -9 by a kill; and what it printed."""

    words: tuple[str, ...]
    code: int
    output: str
    errors: str


@dataclass
class Verb:
    """A verb that runs (state: its process)."""

    words: tuple[str, ...]
    output: int = field(default_factory=lambda: os.memfd_create("output"))
    errors: int = field(default_factory=lambda: os.memfd_create("errors"))
    pid: int = 0

    def __post_init__(self) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            self._be()
        self.handle = os.pidfd_open(self.pid)

    def runs(self, timeout_s: float = 0.0) -> bool:
        """Whether it still runs, after so long at most."""
        return not select.select([self.handle], [], [], timeout_s)[0]

    def kill(self) -> None:
        """kill -9."""
        signal.pidfd_send_signal(self.handle, signal.SIGKILL)

    def done(self) -> Done:
        """How it ended."""
        assert not self.runs(PATIENCE_S), f"{self.words} does not end"
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        printed = [os.pread(file, 1 << 24, 0).decode() for file in (self.output, self.errors)]
        for file in (self.output, self.errors, self.handle):
            os.close(file)
        return Done(self.words, code, *printed)

    def _be(self) -> None:
        code = 70
        try:
            os.setpgid(0, 0)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(self.output, 1)
            os.dup2(self.errors, 2)
            sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
            sys.argv = ["testbed", *self.words]
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


def run(*words: str) -> Done:
    """A verb, and how it ended."""
    return Verb(words).done()
