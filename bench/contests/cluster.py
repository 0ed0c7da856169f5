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


def thousands(size: Size, progress: Progress) -> Readings:
    """A lab of a size at which limits show, beside one of a third."""
    many = size.thousands
    few = many // 3
    contenders = {
        str(nodes): python("bench.runs.thousands", nodes, size.pods_on_node)
        for nodes in (few, many)
    }
    found = interleaved(contenders, 1, progress)
    seconds = {nodes: found.median(str(nodes), "up_s") for nodes in (few, many)}
    detail = ", ".join(f"{n * size.pods_on_node} pods {s:.1f} s" for n, s in seconds.items())
    value = found.ratio("up_s", str(many), str(few)) * few / many
    yield Reading("ten-thousand", value, detail)
    for name in ("ls", "exec"):
        yield Reading(f"ten-thousand-{name}", found.median(str(many), f"{name}_ms"))
