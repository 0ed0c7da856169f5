"""All pairs of pods: beside C in the same lab, and beside Mininet's pingall."""

from bench import peers
from bench.contests import Progress, Reading, Readings, Size
from bench.rounds import interleaved, python

PROTOCOLS = ("icmp", "tcp")


def against_floor(size: Size, progress: Progress) -> Readings:
    """Echo requests and connections from one process."""
    nodes, pods = size.probed
    found = interleaved({"lab": python("bench.runs.probing", nodes, pods)}, size.rounds, progress)
    for protocol in PROTOCOLS:
        ours, by_c = f"{protocol}_testbed", f"{protocol}_c"
        detail = f"{found.median('lab', ours):,.0f} a second, C {found.median('lab', by_c):,.0f}"
        yield Reading(protocol, found.median("lab", f"{protocol}_of_c"), detail)


def against_pingall(size: Size, progress: Progress) -> Readings:
    """As many pods as Mininet has hosts; ours are on nodes of a VPC, its on one bridge."""
    absent = peers.missing()
    if absent:
        progress(f"skipped: pingall, because there is no {' and no '.join(absent)}")
        return
    nodes = 2
    contenders = {
        "lab": python("bench.runs.probing", nodes, size.pinged // nodes),
        "pingall": python("bench.runs.pingall", size.pinged),
    }
    found = interleaved(contenders, size.rounds, progress)
    detail = f"pingall {found.median('pingall', 'pairs'):,.0f} a second"
    for protocol in PROTOCOLS:
        value = found.ratio(f"{protocol}_testbed", "lab", "pingall", "pairs")
        yield Reading(f"{protocol}-pingall", value, detail)
