"""A TCP sweep as the pods' servers meet it: clients that have left when they are accepted."""

import time
from pathlib import Path
from typing import Any

import pytest

from testbed.probes import http, tcp
from testbed.probes.outcome import Row, Target
from testbed.probes.servers.serving import MUSTER_S
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

CLIENTS = 400
SPARE = 50  # times that a process waits for something else, as memory


def rests(pid: int) -> int:
    """How often a process has waited so far."""
    [line] = [
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches")
    ]
    return int(line.split()[1])


def test_servers_are_not_woken_for_each_client_that_leaves(star: Any, serving: Any) -> None:
    """A turn is two rests, one for events and one of MUSTER_S; clients may be far more."""
    bed = star(2)
    row = Row("pod-0", [Target.of(bed.address("pod-1"), 7)] * CLIENTS)

    with serving(bed, bed.listeners()) as servers:
        [pid] = servers.pids
        tcp.sweep(bed.store, [row], timeout_s=PATIENCE_S)  # the program has started
        before, began = rests(pid), time.monotonic()
        [outcomes] = tcp.sweep(bed.store, [row], timeout_s=PATIENCE_S)
        turns, seconds = (rests(pid) - before) / 2, time.monotonic() - began

    assert all(outcome.delivered for outcome in outcomes)
    assert turns <= seconds / MUSTER_S + SPARE


def test_who_stays_is_served_between_those_who_leave(star: Any, serving: Any) -> None:
    bed = star(2)
    address = bed.address("pod-1")
    leaving = Row("pod-0", [Target.of(address, 80)] * CLIENTS)

    with serving(bed, bed.listeners()):
        for _ in range(3):
            tcp.sweep(bed.store, [leaving], timeout_s=PATIENCE_S)
            outcome = http.probe(bed.store, "pod-0", address, 80, timeout_s=PATIENCE_S)
            assert outcome.answer is not None
            assert outcome.answer["pod"] == "pod-1"
