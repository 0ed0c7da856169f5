"""`python -m bench.runs.cluster NODES PODS`: up, answered, verified, down, really gone."""

import sys

from bench import spaces
from bench.meter import Numbers, used
from bench.runs.lab import testbed, timed, topology
from bench.spaces import wait_for_at_most


def measure(nodes: int, pods: int) -> Numbers:
    """Seconds of each step."""
    file = topology(nodes, pods)
    with used() as coming:
        testbed("up", str(file))
        testbed("ping", "pod-0-0", f"pod-{nodes - 1}-{pods - 1}")
    verify_s = timed("verify")
    with used() as going:
        testbed("down")
        wait_for_at_most(1)
    return {"up_s": coming.seconds, "verify_s": verify_s, "gone_s": going.seconds}


if __name__ == "__main__":
    spaces.run(measure, int(sys.argv[1]), int(sys.argv[2]))
