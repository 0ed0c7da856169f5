"""`python -m bench.runs.probing NODES PODS`: all pairs of a lab's pods, by C and by the matrix."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

from bench import floor
from bench.meter import Numbers
from bench.runs.lab import large
from bench.spaces import isolate
from testbed.bed import Bed, bed
from testbed.net.endpoints import Probed
from testbed.plan import endpoints

PROTOCOLS: tuple[Probed, ...] = ("icmp", "tcp")


def measure(nodes: int, pods: int) -> Numbers:
    """Pairs a second of both, with each protocol; every pair has to be answered."""
    with bed(large(nodes, pods)) as lab:
        return dict(_speeds(lab))


def _speeds(lab: Bed) -> Iterator[tuple[str, float]]:
    for protocol in PROTOCOLS:
        by_c = _floor(lab, protocol)
        if by_c["answered"] < by_c["pairs"]:
            raise RuntimeError(f"C lost {protocol} pairs: {by_c}")
        yield f"{protocol}_c", by_c["pairs"] / by_c["seconds"]
        found = lab.matrix(protocol)
        if found.ok < found.pairs:
            raise RuntimeError(f"the matrix lost {protocol} pairs: {found.failed[:3]}")
        yield f"{protocol}_testbed", found.pairs / found.seconds


def _floor(lab: Bed, protocol: str) -> Numbers:
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
    numbers: Numbers = json.loads(ended.stdout)
    return numbers


if __name__ == "__main__":
    isolate()
    json.dump(measure(int(sys.argv[1]), int(sys.argv[2])), sys.stdout)
