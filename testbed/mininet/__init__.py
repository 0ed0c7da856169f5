"""Mininet's prompt over a lab: nodes enter our namespaces, machine-wide habits stay out."""

import sys

from testbed.lab import Lab


def run(lab: Lab) -> None:
    """Bring `lab` up, open Mininet's prompt over it, and take the lab down at the end.

    For scripts: `.venv/bin/python topologies/eks.py`.  A prompt that is not on a terminal
    reads commands from standard input.  An error is one message and its exit code, as on the
    command line.
    """
    # heavy: only to run a lab
    from testbed.load import with_manifests
    from testbed.mininet.net import LabNet
    from testbed.mininet.own import own_lab, prompt, reported

    with reported(), own_lab(with_manifests(lab, sys.argv[0]), LabNet) as net:
        prompt(net)
