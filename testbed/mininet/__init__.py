"""Mininet's prompt over a lab: nodes enter our namespaces, machine-wide habits stay out."""

import os
import signal
import sys

from testbed.errors import TestbedError
from testbed.lab import Lab


def run(lab: Lab) -> None:
    """Bring `lab` up, open Mininet's prompt over it, and take the lab down at the end.

    For scripts: `sudo .venv/bin/python topologies/eks.py`.  A prompt that is not on a terminal
    reads commands from standard input.  An error is one message and its exit code, as on the
    command line.
    """
    # heavy: only to run a lab
    from testbed.daemon.lifecycle import check_privilege, down, up
    from testbed.load import with_manifests

    try:
        check_privilege()
        up(with_manifests(lab, sys.argv[0]), _tell)
        try:
            _prompt(lab.name)
        finally:
            down(lab.name)
    except TestbedError as problem:
        sys.stderr.write(f"error: {problem}\n")
        raise SystemExit(problem.exit_code) from problem


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _prompt(lab: str) -> None:
    """`testbed mininet` as a program of its own: entering a lab cannot be undone.

    ^C is the prompt's; this process waits until the prompt ends by itself.
    """
    argv = [sys.executable, "-m", "testbed", "mininet", "--lab", lab]
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        sys.stdout.flush()
        child = os.posix_spawn(argv[0], argv, os.environ, setsigdef=[signal.SIGINT])
        os.waitpid(child, 0)
    finally:
        signal.signal(signal.SIGINT, interrupt)
