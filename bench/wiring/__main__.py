"""`python -m bench.wiring WAY PODS`: one way, once, in namespaces of its own; prints numbers."""

import sys
from importlib import import_module

from bench import spaces
from bench.meter import Numbers, kernel_kib, own_tree_kib, used
from bench.spaces import wait_for_at_most


def measure(way: str, count: int) -> Numbers:
    """What building and taking down costs."""
    build = import_module(f"bench.wiring.{way}").build
    kernel, user = kernel_kib(), own_tree_kib()
    with used() as building:
        take_down = build(count)
    kernel, user = kernel_kib() - kernel, own_tree_kib() - user
    with used() as ending:
        take_down()
        wait_for_at_most(1)
    return {
        "build_s": building.seconds,
        "cpu_s": building.cpu_s,
        "gone_s": ending.seconds,
        "kernel_kib": kernel,
        "user_kib": user,
    }


if __name__ == "__main__":
    spaces.run(measure, sys.argv[1], int(sys.argv[2]))
