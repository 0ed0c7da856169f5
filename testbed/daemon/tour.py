"""The checks a newcomer is shown: which real `ping` and `curl` prove which networking problem.

Kubernetes' documentation ("Cluster Networking") names four problems; each check belongs to one.
Pure: the checks are chosen from the lab, somebody else runs them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

from testbed.allocations import Allocations
from testbed.daemon.protocol import Json
from testbed.kubernetes.model import Pod
from testbed.kubernetes.placement import PodAddress
from testbed.lab import Lab
from testbed.net.facts import IpAddress
from testbed.vpc.ec2 import Eni

TIMEOUT_S = 3

IN_A_POD = "container to container"
POD_TO_POD = "pod to pod"
OUTWARD = "pod to outside"


@dataclass(frozen=True)
class Check:
    """A program run in a place; `client` is the address the other side must have seen."""

    problem: str
    proves: str
    place: str
    argv: tuple[str, ...]
    client: IpAddress | None = None

    def result(self, code: int, printed: str) -> Json:
        """The row that is shown for what the program printed."""
        answer = _answer(printed) if self.argv[0] == "curl" else {}
        seen = str(answer.get("client", "")).rsplit(":", 1)[0]
        ok = code == 0 and (self.client is None or seen == str(self.client))
        return {
            "problem": self.problem,
            "proves": self.proves,
            "command": f"{self.place} {' '.join(self.argv)}",
            "saw": f"{answer.get('pod', '?')} saw {seen}" if answer else _round_trip(printed),
            "ok": ok,
        }


def _answer(printed: str) -> dict[str, str]:
    try:
        answer = json.loads(printed)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _round_trip(printed: str) -> str:
    """`time=0.061 ms` out of what ping prints."""
    _, found, rest = printed.partition("time=")
    return f"reply after {rest.splitlines()[0]}" if found else "no reply"


def ping(address: IpAddress) -> tuple[str, ...]:
    """The real ping, once."""
    return ("ping", "-c1", f"-W{TIMEOUT_S}", str(address))


def curl(address: IpAddress | str, port: int) -> tuple[str, ...]:
    """The real curl, saying nothing but the answer."""
    suffix = "" if port == 80 else f":{port}"
    return ("curl", "-sS", "--max-time", str(TIMEOUT_S), f"http://{address}{suffix}/")


def tour(lab: Lab, allocations: Allocations) -> Iterator[Check]:
    """The checks of a lab, at most one for each thing to prove."""
    pods = {pod.netns: pod for cluster in lab.clusters for pod in cluster.pods}
    places = [place for place in allocations.pods if not place.host_network]
    yield from _inside_a_pod(pods, places)
    yield from _between_pods(pods, places)
    yield from _outward(lab, places, allocations.enis)


def _http_ports(pod: Pod) -> list[int]:
    ports = (port for container in pod.containers for port in container.ports)
    return [port.number for port in ports if port.protocol == "http"]


def _inside_a_pod(pods: dict[str, Pod], places: list[PodAddress]) -> Iterator[Check]:
    for place in places:
        ports = _http_ports(pods[place.pod])
        if len(pods[place.pod].containers) > 1 and ports:
            what = "containers of a pod share localhost"
            yield Check(IN_A_POD, what, place.pod, curl("localhost", ports[-1]))
            return


def _between_pods(pods: dict[str, Pod], places: list[PodAddress]) -> Iterator[Check]:
    shown: set[str] = set()
    for source, target in permutations(places, 2):
        if target.device_index == 0 or source.device_index > 0:
            proves = _way(source, target)
            if proves in shown:
                continue
            shown.add(proves)
            yield Check(POD_TO_POD, proves, source.pod, ping(target.ip))
            for port in _http_ports(pods[target.pod])[:1]:
                what = "… and the other side sees the pod's own address"
                yield Check(POD_TO_POD, what, source.pod, curl(target.ip, port), source.ip)


def _way(source: PodAddress, target: PodAddress) -> str:
    if source.node == target.node:
        return "on one node: veth, rule 512, veth"
    if source.device_index == 0:
        return "across nodes: table main, eth0"
    return (
        f"across nodes from eth{source.device_index}: rule 1536, table {source.device_index + 1}"
    )


def _outward(lab: Lab, places: list[PodAddress], enis: tuple[Eni, ...]) -> Iterator[Check]:
    if not places or not lab.internet.hosts:
        return
    source = max(places, key=lambda place: place.device_index)
    node = next(eni for eni in enis if (eni.instance, eni.device_index) == (source.node, 0))
    seen = node.public_ip or next((e.public_ip for e in enis if _nat_for(lab, node, e)), None)
    if seen is None:
        return
    host = lab.internet.hosts[0]
    yield Check(OUTWARD, "SNAT on the node, then at the gateway", source.pod, ping(host))
    what = "… the internet sees a public address"
    yield Check(OUTWARD, what, source.pod, curl(host, 80), seen)


def _nat_for(lab: Lab, node: Eni, eni: Eni) -> bool:
    """Whether the default route of the node's subnet leads to this NAT gateway's ENI."""
    for vpc in lab.vpcs:
        for subnet in vpc.subnets:
            if (vpc.name, subnet.name) == (node.vpc, node.subnet):
                targets = [
                    entry.target
                    for table in vpc.route_tables
                    if table.name == subnet.route_table
                    for entry in table.routes
                    if entry.destination.prefixlen == 0
                ]
                return eni.interface_type == "nat_gateway" and eni.instance in targets
    return False
