"""What the benchmark measures, and how good each figure has to be."""

from dataclasses import dataclass
from typing import Literal

Bound = Literal["at most", "at least"]


@dataclass(frozen=True)
class Target:
    """A figure's name, its bound, and what it says in words."""

    name: str
    bound: Bound
    limit: float
    unit: str
    text: str

    def met(self, value: float) -> bool:
        """Whether a value is good enough."""
        return value <= self.limit if self.bound == "at most" else value >= self.limit


TARGETS = (
    Target("wiring", "at most", 1.25, "x floor", "wiring a pod, 1,000 pods"),
    Target("growth", "at most", 1.15, "x", "a pod among 3,000 against one among 300"),
    Target("teardown", "at most", 1.3, "x floor", "down until the kernel has let go"),
    Target("mininet", "at least", 25, "x faster", "than Mininet wiring the same"),
    Target("ip-batch", "at least", 4, "x faster", "than `ip -batch` wiring the same"),
    Target("pyroute2", "at least", 18, "x faster", "than pyroute2's NetNS wiring the same"),
    Target("up", "at most", 2.0, "x floor", "`up` of 100 nodes x 30 pods until pods answer"),
    Target("verify", "at most", 0.5, "x floor", "`verify` of it: all read back and compared"),
    Target("down", "at most", 1.3, "x floor", "`down` of it until the kernel has let go"),
    Target("kernel-memory", "at most", 350, "KiB", "of the kernel: one pod more on a node"),
    Target("user-memory", "at most", 5, "KiB", "of processes for a pod more in a lab"),
    Target("icmp", "at least", 0.8, "of C", "ICMP, all pairs of pods a second"),
    Target("tcp", "at least", 0.7, "of C", "TCP connects, all pairs of pods a second"),
    Target("icmp-pingall", "at least", 80, "x faster", "ICMP pairs than Mininet's pingall"),
    Target("tcp-pingall", "at least", 25, "x faster", "TCP pairs than Mininet's pingall"),
    Target("rules", "at least", 2, "x faster", "200 rules on 100 like nodes than a restore each"),
    Target("render", "at most", 0.5, "s", "kube-proxy's rules for 1,000 Services x 10 endpoints"),
    Target("exec", "at most", 0.2, "x", "a program in a pod of 3,000 against `ip netns exec`"),
    Target("throughput", "at most", 1.4, "x bare veth", "CPU a byte of TCP over four hops"),
    Target("ten-thousand", "at most", 1.25, "x", "a pod of 10,000 in `up` against one of 3,000"),
    Target("ten-thousand-ls", "at most", 500, "ms", "`ls` beside a lab of 10,000 pods"),
    Target("ten-thousand-exec", "at most", 500, "ms", "`exec` in a lab of 10,000 pods"),
    Target("explain", "at most", 60, "ms", "one `explain` in eks.yaml, in the daemon"),
    Target("explain-large", "at most", 150, "ms", "one `explain` in 100 nodes x 30 pods"),
    Target("predict", "at most", 10, "s", "predicting all pairs of 300 pods"),
)

BY_NAME = {target.name: target for target in TARGETS}
