"""A whole cluster, from its file: ENIs, route tables, the CNI's rules and kube-proxy's."""

from bench.contests import Progress, Reading, Readings, Size
from bench.rounds import interleaved, kernel_floor, python

FIGURES = {"up": "up_s", "verify": "verify_s", "down": "gone_s"}
FLOORS = {"up": "build_s", "verify": "build_s", "down": "gone_s"}


def against_floor(size: Size, progress: Progress) -> Readings:
    """Beside what the kernel takes for its pods alone."""
    contenders = {
        "floor": kernel_floor(size.nodes * size.pods_on_node),
        "lab": python("bench.runs.cluster", size.nodes, size.pods_on_node),
    }
    found = interleaved(contenders, size.rounds, progress)
    for name, number in FIGURES.items():
        seconds, floor_s = found.median("lab", number), found.median("floor", FLOORS[name])
        value = found.ratio(number, "lab", "floor", FLOORS[name])
        yield Reading(name, value, f"{seconds:.2f} s, C {floor_s:.2f} s")


def memory(size: Size, progress: Progress) -> Readings:
    """What a pod more costs: the difference of two sizes, so that what is always there is not."""
    few, many = max(1, size.nodes // 5), size.nodes
    contenders = {
        str(nodes): python("bench.runs.cluster", nodes, size.pods_on_node) for nodes in (few, many)
    }
    found = interleaved(contenders, size.rounds, progress)
    pods = (many - few) * size.pods_on_node
    for name in ("kernel", "user"):
        number = f"{name}_kib"
        more = found.median(str(many), number) - found.median(str(few), number)
        yield Reading(f"{name}-memory", more / pods)
