"""What users pasted of a real node: the file's head says which node it was, the rest is output.

`KEY: VALUE` lines first (`source`, `release`, `ranges`, `subnet`, `enis`, `links`, `env`), then
below each `$ COMMAND` what it printed, without the lines of other programs.  An ENI whose own
address the user did not show is `unknown`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from testbed.eks.model import EksCluster, Profile
from testbed.eks.render import Wired
from testbed.eks.rollout import with_settings
from testbed.kubernetes.model import Node, Pod
from testbed.kubernetes.placement import PodAddress
from testbed.vpc.eni import Eni
from testbed.vpc.model import Subnet, Vpc

Release = tuple[int, ...]

TO_POD = re.compile(r"^512:\s+from all to (\S+) lookup main$")
VIA_VETH = re.compile(r"^(\S+) dev eni\w+ scope link$")
FROM_POD = re.compile(r"^1536:\s+from (\S+) (?:to \S+ )?lookup (\d+)$")


@dataclass(frozen=True)
class Dump:
    """A node at one moment.  printed: the lines below each command."""

    head: dict[str, str]
    printed: dict[str, list[str]]

    @property
    def release(self) -> Release:
        """(1, 16, 4)."""
        return tuple(map(int, self.head["release"].split(".")))

    @property
    def links(self) -> list[str]:
        """The ENIs' names, eth0's first: `ens5` on newer systems."""
        return self.head["links"].split()

    @property
    def pods(self) -> dict[str, int]:
        """Each pod's address, and its ENI's device index."""
        lines = [line.strip() for lines in self.printed.values() for line in lines]
        found = dict.fromkeys(_matched(TO_POD, lines) + _matched(VIA_VETH, lines), 0)
        for line in lines:
            if from_pod := FROM_POD.match(line):
                found[from_pod[1]] = int(from_pod[2]) - 1
        return found


def read(file: Path) -> Dump:
    """The dump in a file."""
    head: dict[str, str] = {}
    printed: dict[str, list[str]] = {}
    below: list[str] | None = None
    for line in file.read_text().splitlines():
        if line.startswith("$ "):
            below = printed.setdefault(line.removeprefix("$ "), [])
        elif below is None:
            key, _, value = line.partition(": ")
            head[key] = value
        else:
            below.append(line)
    return Dump(head, printed)


def wired(dump: Dump) -> Wired:
    """Our node with the same addresses and settings: of v1.5, else of the release of today."""
    subnet = Subnet("a", IPv4Network(dump.head["subnet"]), "us-west-2a")
    vpc = Vpc("main", tuple(map(IPv4Network, dump.head["ranges"].split())), (subnet,))
    node = Node("node-1", "a", "m5.large")
    placed = [
        PodAddress(f"pod-{number}", "eks", node.name, index, IPv4Address(address))
        for number, (address, index) in enumerate(dump.pods.items())
    ]
    pods = tuple(Pod(one.pod, node=node.name) for one in placed)
    profile: Profile = "slides" if dump.release < (1, 6) else "current"
    cluster = EksCluster("eks", "main", (node,), pods, profile=profile)
    env = dict(one.split("=") for one in dump.head.get("env", "").split())
    return Wired(
        with_settings(cluster, None, env), vpc, node, tuple(_enis(dump, subnet)), tuple(placed)
    )


def _enis(dump: Dump, subnet: Subnet) -> Iterator[Eni]:
    for index, shown in enumerate(dump.head["enis"].split()):
        own = subnet.cidr[-2 - index] if shown == "unknown" else IPv4Address(shown)
        pods = [IPv4Address(pod) for pod, eni in dump.pods.items() if eni == index]
        yield Eni(
            id=f"eni-{index}",
            mac=f"02:00:00:00:00:0{index}",
            vpc="main",
            subnet=subnet.name,
            addresses=(own, *pods),
            instance="node-1",
            device_index=index,
        )


def _matched(pattern: re.Pattern[str], lines: list[str]) -> list[str]:
    return [found[1] for line in lines if (found := pattern.match(line))]
