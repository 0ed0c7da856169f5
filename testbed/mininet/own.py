"""A lab of this process' own, as Mininet's net: it ends with the block, or with the process."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from testbed.daemon.inside import enter_lab
from testbed.daemon.lifecycle import lasting
from testbed.daemon.process.protocol import call
from testbed.daemon.shown.prompt import from_json
from testbed.errors import TestbedError
from testbed.lab import Lab
from testbed.mininet.net import LabNet
from testbed.mininet.nodes import uninterrupted
from testbed.mininet.prompt import converse, results_on_stdout

AnyNet = TypeVar("AnyNet", bound=LabNet)


def tell(text: str) -> None:
    """Progress and complaints: to standard error."""
    sys.stderr.write(f"{text}\n")


@contextmanager
def reported() -> Iterator[None]:
    """An error is one message and its exit code, as on the command line."""
    try:
        yield
    except TestbedError as problem:
        tell(f"error: {problem}")
        raise SystemExit(problem.exit_code) from problem


@contextmanager
def own_lab(lab: Lab, kind: type[AnyNet]) -> Iterator[AnyNet]:
    """The lab, up, as a net of Mininet's; this process is inside it for good.

    Raises MissingFeature when this user may not run labs, UsageError when one of that name runs.
    """
    with lasting(lab, tell) as home:
        view = from_json(call(home, "inside"))
        enter_lab(home)
        net = kind(view, lambda: call(home, "heal"))
        try:
            with net.burying():
                yield net
        finally:
            with uninterrupted():  # or a shell might be left behind
                net.stop()


def prompt(net: LabNet, script: Iterable[str] | None = None) -> None:
    """Mininet's prompt until the user leaves it, or these commands; results on standard output."""
    from testbed.cli.inside.prompt import commands  # the testbed's verbs

    with results_on_stdout():
        converse(net, commands(), script)
