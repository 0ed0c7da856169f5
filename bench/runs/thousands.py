"""`python -m bench.runs.thousands NODES PODS`: a lab so large that limits show."""

import sys

from bench import spaces
from bench.meter import Numbers
from bench.runs.lab import testbed, timed, topology


def measure(nodes: int, pods: int) -> Numbers:
    """Seconds of `up`, milliseconds of `ls` and `exec`."""
    file = topology(nodes, pods)
    up_s = timed("up", str(file))
    numbers = {
        "up_s": up_s,
        "ls_ms": timed("ls") * 1e3,
        "exec_ms": timed("exec", "pod-0-0", "--", "true") * 1e3,
    }
    testbed("down")
    return numbers


if __name__ == "__main__":
    spaces.run(measure, int(sys.argv[1]), int(sys.argv[2]))
