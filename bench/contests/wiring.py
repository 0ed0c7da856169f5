"""Bare pods: the testbed beside the floor, at growing sizes, and beside its peers."""

from collections.abc import Iterable

from bench import peers
from bench.contests import Progress, Reading, Readings, Size
from bench.rounds import Results, interleaved, kernel_floor, python

PEERS = {"mininet": "mininet", "ip-batch": "ip_batch", "pyroute2": "pyroute2"}
SLOW = {"mininet", "pyroute2"}  # tens of milliseconds a pod; what is quick has more rounds


def against_floor(size: Size, progress: Progress) -> Readings:
    """Building and taking down, beside C."""
    contenders = {
        "floor": kernel_floor(size.pods),
        "testbed": python("bench.wiring", "testbed", size.pods),
    }
    found = interleaved(contenders, size.short_rounds, progress)
    us = {name: found.median(name, "build_s") / size.pods * 1e6 for name in contenders}
    detail = f"{us['testbed']:.0f} us a pod, C {us['floor']:.0f} us"
    yield Reading("wiring", found.ratio("build_s", "testbed", "floor"), detail)
    gone = {name: found.median(name, "gone_s") / size.pods * 1e6 for name in contenders}
    detail = f"{gone['testbed']:.0f} us a pod, C {gone['floor']:.0f} us"
    yield Reading("teardown", found.ratio("gone_s", "testbed", "floor"), detail)


def growth(size: Size, progress: Progress) -> Readings:
    """The time of one pod in a few and in many, ours and C's."""
    contenders = {f"testbed {n}": python("bench.wiring", "testbed", n) for n in size.grown}
    contenders |= {f"floor {n}": kernel_floor(n) for n in size.grown}
    found = interleaved(contenders, size.rounds, progress)
    us = {
        name: [(n, found.median(f"{name} {n}", "build_s") / n * 1e6) for n in size.grown]
        for name in ("testbed", "floor")
    }
    few, many = size.grown[1], size.grown[-1]
    value = found.ratio("build_s", f"testbed {many}", f"testbed {few}") * few / many
    detail = ", ".join(f"{value:.0f} us at {n}" for n, value in us["testbed"])
    yield Reading("growth", value, detail, us)


def against_peers(size: Size, progress: Progress) -> Readings:
    """The same pods wired by what else there is."""
    there = set(PEERS)
    if absent := peers.missing():
        progress(f"skipped: mininet, because there is no {' and no '.join(absent)}")
        there.discard("mininet")
    for names, rounds in ((there & SLOW, size.rounds), (there - SLOW, size.short_rounds)):
        contenders = {"testbed": "testbed"} | {name: PEERS[name] for name in sorted(names)}
        runs = {
            name: python("bench.wiring", way, size.peer_pods) for name, way in contenders.items()
        }
        yield from _beside_us(interleaved(runs, rounds, progress), names, size.peer_pods)


def _beside_us(found: Results, names: Iterable[str], pods: int) -> Readings:
    for name in sorted(names):
        us = {one: found.median(one, "build_s") / pods * 1e6 for one in ("testbed", name)}
        detail = f"{us[name] / 1e3:.1f} ms a pod, ours {us['testbed'] / 1e3:.2f} ms, {pods} pods"
        drawn = {one: [(pods, value)] for one, value in us.items()}
        yield Reading(name, found.ratio("build_s", name, "testbed"), detail, drawn)
