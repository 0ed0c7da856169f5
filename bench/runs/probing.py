"""`python -m bench.runs.probing NODES PODS`: all pairs of a lab's pods, by C and by the matrix."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from bench import floor, spaces
from bench.meter import Numbers
from bench.runs.lab import large
from testbed.bed import Bed, bed
from testbed.net.served.endpoints import Probed
from testbed.plan import endpoints

PROTOCOLS: tuple[Probed, ...] = ("icmp", "tcp")
ROUNDS = 5


def measure(nodes: int, pods: int) -> Numbers:
    """Pairs a second of both, with each protocol; every pair has to be answered.

    A sweep takes a fraction of a second, and the kernels still know the flows of the one before:
    of some rounds, in which each goes first by turns, the middle one counts.
    """
    with bed(large(nodes, pods)) as lab:
        return dict(_speeds(lab))


def _speeds(lab: Bed) -> Iterator[tuple[str, float]]:
    ways = {"c": _floor, "testbed": _matrix}
    for protocol in PROTOCOLS:
        _floor(lab, protocol)  # neighbours are found, caches filled
        rounds = []
        for number in range(ROUNDS):
            order = [*ways] if number % 2 else [*reversed(ways)]
            rounds.append({name: ways[name](lab, protocol) for name in order})
        for name in ways:
            yield f"{protocol}_{name}", median(one[name] for one in rounds)
        yield f"{protocol}_of_c", median(one["testbed"] / one["c"] for one in rounds)


def _matrix(lab: Bed, protocol: Probed) -> float:
    found = lab.matrix(protocol)
    if found.ok < found.pairs:
        raise RuntimeError(f"the matrix lost {protocol} pairs: {found.failed[:3]}")
    return found.pairs / found.seconds


def _floor(lab: Bed, protocol: Probed) -> float:
    with ExitStack() as undo:
        lines, descriptors = [], []
        for pod in endpoints(lab.lab, lab.allocations):
            descriptor = lab.store.open(pod.netns)
            undo.callback(os.close, descriptor)
            descriptors.append(descriptor)
            lines.append(f"{descriptor} {pod.address}\n")
        ended = subprocess.run(
            [floor.program("probes"), protocol],
            input="".join(lines),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            pass_fds=descriptors,
        )
    found: Numbers = json.loads(ended.stdout)
    if found["answered"] < found["pairs"]:
        raise RuntimeError(f"C lost {protocol} pairs: {found}")
    return found["pairs"] / found["seconds"]


if __name__ == "__main__":
    spaces.run(measure, int(sys.argv[1]), int(sys.argv[2]))
