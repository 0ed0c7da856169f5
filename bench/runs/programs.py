"""`python -m bench.runs.programs PODS`: starting a program in a pod, ours and `ip netns exec`."""

import os
import sys
from pathlib import Path
from statistics import median

from bench import spaces
from bench.meter import Numbers, used
from bench.wiring.pods import facts
from testbed.kernel.machine import mounts
from testbed.kernel.namespaces.enter import entered
from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.programs.run import run
from testbed.kernel.write.apply import apply
from testbed.probes.sockets import inside

TIMES = 40
TIMEOUT_S = 60.0
POD = "pod-1"


def measure(pods: int) -> Numbers:
    """Milliseconds of both, where all pods have names in /run/netns for `ip netns`."""
    with LocalStore() as store:
        apply(store, frozenset(facts(pods)))
        ours, theirs = [], []
        for name in store.names():
            _name(store, name)
        for _ in range(TIMES):
            with used() as spent, inside(store, POD):
                _succeed("true")
            ours.append(spent.seconds)
            with used() as spent:
                _succeed("ip", "netns", "exec", POD, "true")
            theirs.append(spent.seconds)
    return {"testbed_ms": median(ours) * 1e3, "ip_ms": median(theirs) * 1e3}


def _succeed(*argv: str) -> None:
    if ended := run(argv, timeout_s=TIMEOUT_S).returncode:
        raise RuntimeError(f"{argv} ended with {ended}")


def _name(store: LocalStore, name: str) -> None:
    """What `ip netns add` leaves: a bind mount."""
    place = Path("/run/netns") / name
    place.touch()
    descriptor = store.open(name)
    with entered(descriptor):
        mounts.mount("/proc/thread-self/ns/net", str(place), flags=mounts.MS_BIND)
    os.close(descriptor)


if __name__ == "__main__":
    spaces.run(measure, int(sys.argv[1]))
