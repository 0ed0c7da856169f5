"""`python -m bench.runs.explaining NODES PODS`: one packet followed, and all pairs predicted."""

import sys
from pathlib import Path
from statistics import median

from bench import spaces
from bench.meter import Numbers, used
from bench.runs.lab import TOPOLOGIES, large, testbed, topology
from testbed.allocations import allocate
from testbed.daemon.process import home as homes
from testbed.daemon.process.protocol import Json, call
from testbed.daemon.questions.pairs import all_pairs
from testbed.explain.walk.world import World
from testbed.plan import endpoints, plan

TIMES = 9
SETTINGS: dict[str, Json] = {
    "port": 80,
    "protocol": "tcp",
    "size": 0,
    "source_port": 0,
    "edits": [],
    "predict": False,
    "tracefs": True,
    "timeout": 0.5,
    "verbose": False,
    "output": "text",
    "width": 80,
}


def measure(nodes: int, pods: int) -> Numbers:
    """Milliseconds of a question in a small lab and in a large one, seconds of all pairs."""
    return {
        "small_ms": _explained(TOPOLOGIES / "eks.yaml", "web-0", "client"),
        "large_ms": _explained(topology(nodes, pods), "pod-0-0", f"pod-{nodes - 1}-0"),
    }


def pairs(nodes: int, pods: int) -> Numbers:
    """Seconds of predicting what becomes of every pair of so many pods."""
    lab = large(nodes, pods)
    allocations = allocate(lab)
    with used() as spent:
        world = World.planned(plan(lab, allocations))
        found = all_pairs(world, endpoints(lab, allocations))
    if not all(one.delivered for one in found.values()):
        raise RuntimeError("a pair that works was predicted not to")
    return {"pairs_s": spent.seconds, "pairs": len(found)}


def _explained(file: Path, source: str, destination: str) -> float:
    """The middle one of some; the first one also makes what the later ones use."""
    testbed("up", str(file))
    [home] = homes.running()
    times = []
    for _ in range(TIMES):
        with used() as spent:
            answer = call(home, "explain", source=source, destination=destination, **SETTINGS)
        if answer["exit_code"]:
            raise RuntimeError(answer["document"])
        times.append(spent.seconds)
    testbed("down")
    return median(times[1:]) * 1e3


if __name__ == "__main__":
    work = {"explain": measure, "pairs": pairs}[sys.argv[1]]
    spaces.run(work, int(sys.argv[2]), int(sys.argv[3]))
