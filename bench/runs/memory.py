"""`python -m bench.runs.memory NODES PODS`: what a lab takes that nobody asks anything."""

import sys
import time

from bench import spaces
from bench.meter import Numbers, kernel_kib, process_kib, tree
from bench.runs.lab import first_process, testbed, topology
from testbed.kernel.machine.processes import forks, parent

PATIENCE_S = 300.0
LOOK_S = 0.1


def measure(nodes: int, pods: int) -> Numbers:
    """Memory of the kernel and of the lab's processes."""
    file = topology(nodes, pods)
    kernel = kernel_kib()
    testbed("up", str(file))
    testbed("ping", "pod-0-0", f"pod-{nodes - 1}-{pods - 1}")
    lab = first_process()
    wait_until_at_rest(lab)
    numbers: Numbers = {
        "kernel_kib": kernel_kib() - kernel,
        "user_kib": process_kib(tree(lab)),
    }
    testbed("down")
    return numbers


def wait_until_at_rest(lab: int) -> None:
    """Wait until nobody has asked for so long that the worker, a child of the daemon, has ended.

    lab: its first process.  Raises TimeoutError.
    """
    deadline = time.monotonic() + PATIENCE_S
    below = [process for process in tree(lab) if process != lab and parent(process) == lab]
    while any([*forks(daemon)] for daemon in below):
        if time.monotonic() > deadline:
            raise TimeoutError("a worker still has something to do")
        time.sleep(LOOK_S)


if __name__ == "__main__":
    spaces.run(measure, int(sys.argv[1]), int(sys.argv[2]))
