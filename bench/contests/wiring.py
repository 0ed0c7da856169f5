"""Bare pods: the testbed beside the floor, at growing sizes, and beside its peers."""

from bench import peers
from bench.contests import Progress, Reading, Readings, Size
from bench.rounds import interleaved, kernel_floor, python

PEERS = {"mininet": "mininet", "ip-batch": "ip_batch", "pyroute2": "pyroute2"}


def against_floor(size: Size, progress: Progress) -> Readings:
    """Building and taking down, beside C."""
    contenders = {
        "floor": kernel_floor(size.pods),
        "testbed": python("bench.wiring", "testbed", size.pods),
    }
    found = interleaved(contenders, size.rounds, progress)
    us = {name: found.median(name, "build_s") / size.pods * 1e6 for name in contenders}
    detail = f"{us['testbed']:.0f} us a pod, C {us['floor']:.0f} us"
    yield Reading("wiring", found.ratio("build_s", "testbed", "floor"), detail)
    gone = {name: found.median(name, "gone_s") / size.pods * 1e6 for name in contenders}
    detail = f"{gone['testbed']:.0f} us a pod, C {gone['floor']:.0f} us"
    yield Reading("teardown", found.ratio("gone_s", "testbed", "floor"), detail)


def growth(size: Size, progress: Progress) -> Readings:
    """The time of one pod in a few and in many."""
    few, many = size.grown
    contenders = {str(count): python("bench.wiring", "testbed", count) for count in size.grown}
    found = interleaved(contenders, size.rounds, progress)
    us = [found.median(str(count), "build_s") / count * 1e6 for count in size.grown]
    value = found.ratio("build_s", str(many), str(few)) * few / many
    yield Reading("growth", value, f"{us[0]:.0f} us at {few}, {us[1]:.0f} us at {many}")


def against_peers(size: Size, progress: Progress) -> Readings:
    """The same pods wired by what else there is."""
    absent = peers.missing()
    ways = {name: way for name, way in PEERS.items() if name != "mininet" or not absent}
    if absent:
        progress(f"skipped: mininet, because there is no {' and no '.join(absent)}")
    contenders = {"testbed": python("bench.wiring", "testbed", size.peer_pods)} | {
        name: python("bench.wiring", way, size.peer_pods) for name, way in ways.items()
    }
    found = interleaved(contenders, size.rounds, progress)
    for name in ways:
        ms = found.median(name, "build_s") / size.peer_pods * 1e3
        yield Reading(name, found.ratio("build_s", name, "testbed"), f"{ms:.1f} ms a pod")
