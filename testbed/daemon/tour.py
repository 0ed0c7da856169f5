"""The checks a newcomer is shown: which real `ping` and `curl` prove which networking problem.

Kubernetes' documentation ("Cluster Networking") names four problems; each check belongs to one.
Pure: the checks are chosen from the lab, somebody else runs them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

from testbed.allocations import Allocations
from testbed.daemon.process.protocol import Json
from testbed.eks.model import EksCluster
from testbed.kubernetes.model import Pod, Service
from testbed.kubernetes.placement import PodAddress
from testbed.lab import Cluster, Lab
from testbed.net.facts import IpAddress
from testbed.services.load_balancers.naming import dns_name
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.eni import nat_netns
from testbed.vpc.naming import INTERNET, region

TIMEOUT_S = 3

IN_A_POD = "container to container"
POD_TO_POD = "pod to pod"
POD_TO_SERVICE = "pod to Service"
OUTWARD = "pod to outside"
INWARD = "outside to Service"


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
            "saw": _told(answer, seen) if answer else _round_trip(printed),
            "ok": ok,
        }


def _answer(printed: str) -> dict[str, str]:
    try:
        answer = json.loads(printed)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _told(answer: dict[str, str], seen: str) -> str:
    """`web-2 on node-1 saw 10.0.2.5`; a host of the internet is on no node."""
    pod, node = answer.get("pod", "?"), answer.get("node", "")
    return f"{pod} saw {seen}" if node == INTERNET else f"{pod} on {node} saw {seen}"


def _round_trip(printed: str) -> str:
    """`reply after 0.061 ms` out of what ping prints."""
    _, found, rest = printed.partition("time=")
    return f"reply after {rest.splitlines()[0]}" if found else "no reply"


def ping(address: IpAddress) -> tuple[str, ...]:
    """The real ping, once."""
    return ("ping", "-c1", f"-W{TIMEOUT_S}", str(address))


def curl(host: IpAddress | str, port: int) -> tuple[str, ...]:
    """The real curl, saying nothing but the answer."""
    suffix = "" if port == 80 else f":{port}"
    return ("curl", "-sS", "--max-time", str(TIMEOUT_S), f"http://{host}{suffix}/")


def tour(lab: Lab, allocations: Allocations) -> Iterator[Check]:
    """The checks of a lab, at most one for each thing to prove."""
    for cluster in lab.clusters:
        places = [
            place
            for place in allocations.pods
            if place.cluster == cluster.name and not place.host_network
        ]
        yield from _inside_a_pod(cluster, places)
        yield from _between_pods(cluster, places)
        yield from _to_services(cluster, places)
        yield from _outward(lab, cluster, places, allocations.enis)
        yield from _inward(lab, cluster)


def _pods(cluster: Cluster) -> dict[str, Pod]:
    return {pod.netns: pod for pod in cluster.pods}


def _http_ports(pod: Pod) -> list[int]:
    return [port.number for port in pod.served if port.protocol == "http"]


def _inside_a_pod(cluster: Cluster, places: list[PodAddress]) -> Iterator[Check]:
    pods = _pods(cluster)
    for place in places:
        ports = _http_ports(pods[place.pod])
        if len(pods[place.pod].containers) > 1 and ports:
            what = "containers of a pod share localhost"
            yield Check(IN_A_POD, what, place.pod, curl("localhost", ports[-1]))
            return


def _between_pods(cluster: Cluster, places: list[PodAddress]) -> Iterator[Check]:
    pods, shown = _pods(cluster), set()
    pairs = sorted(permutations(places, 2), key=lambda pair: pair[0].node != pair[1].node)
    for source, target in pairs:
        proves = _way(cluster, source, target)
        if proves in shown or (target.device_index and not source.device_index):
            continue
        shown.add(proves)
        yield Check(POD_TO_POD, proves, source.pod, ping(target.ip))
        for port in _http_ports(pods[target.pod])[:1]:
            what = "… and the other side sees the pod's own address"
            yield Check(POD_TO_POD, what, source.pod, curl(target.ip, port), source.ip)


def _way(cluster: Cluster, source: PodAddress, target: PodAddress) -> str:
    """What the wiring does for such a pair."""
    if source.on_fargate or target.on_fargate:
        return "to or from a pod on Fargate: it has a network interface for itself"
    same_node = source.node == target.node
    if not isinstance(cluster, EksCluster):
        return "on one node: the bridge cbr0" if same_node else "across nodes: the VPC's route"
    if same_node:
        return "on one node: veth, rule 512, veth"
    if source.device_index == 0:
        return "across nodes: table main, eth0"
    return (
        f"across nodes from eth{source.device_index}: rule 1536, table {source.device_index + 1}"
    )


def _served(cluster: Cluster, service: Service) -> int:
    """The Service's first port whose endpoints answer HTTP; 0 for none."""
    pods = [pod for pod in cluster.pods if service.selects(pod)]
    return next(
        (one.port for one in service.ports for pod in pods if one.target in _http_ports(pod)), 0
    )


def _to_services(cluster: Cluster, places: list[PodAddress]) -> Iterator[Check]:
    for service in cluster.services:
        port = _served(cluster, service)
        others = [at for at in places if not service.selects(_pods(cluster)[at.pod])]
        if port and others:
            source = others[0]
            what = "its name, its ClusterIP, kube-proxy's DNAT"
            yield Check(POD_TO_SERVICE, what, source.pod, curl(service.name, port), source.ip)
            return


def _outward(
    lab: Lab, cluster: Cluster, places: list[PodAddress], enis: tuple[Eni, ...]
) -> Iterator[Check]:
    """From the pod of the highest ENI, which has the longest way to eth0."""
    of_nodes = [place for place in places if not place.on_fargate]
    if not of_nodes or not lab.internet.hosts:
        return
    source = max(of_nodes, key=lambda place: place.device_index)
    node = next(eni for eni in enis if (eni.instance, eni.device_index) == (source.node, 0))
    external = isinstance(cluster, EksCluster) and cluster.env.external_snat
    gateway = next((eni.public_ip for eni in enis if _nat_for(lab, node, eni)), None)
    seen = gateway or (None if external else node.public_ip)
    if seen is None:
        return
    host = lab.internet.hosts[0]
    proves = "the gateway translates" if external else "SNAT on the node, then at the gateway"
    yield Check(OUTWARD, proves, source.pod, ping(host))
    what = "… the internet sees a public address"
    yield Check(OUTWARD, what, source.pod, curl(host, 80), seen)


def _nat_for(lab: Lab, node: Eni, eni: Eni) -> bool:
    """Whether the default route of the node's subnet leads to this NAT gateway's ENI."""
    vpc = next(vpc for vpc in lab.vpcs if vpc.name == node.vpc)
    subnet = next(subnet for subnet in vpc.subnets if subnet.name == node.subnet)
    targets = [
        entry.target
        for table in vpc.route_tables
        if table.name == subnet.route_table
        for entry in table.routes
        if entry.destination.prefixlen == 0
    ]
    return eni.interface_type == "nat_gateway" and eni.instance in map(nat_netns, targets)


def _inward(lab: Lab, cluster: Cluster) -> Iterator[Check]:
    for service in cluster.services:
        port = _served(cluster, service)
        if service.type == "LoadBalancer" and port:
            vpc = next(vpc for vpc in lab.vpcs if vpc.name == cluster.vpc)
            name = dns_name(cluster.name, service, region(vpc))
            what = "ELB's name, ELB, NodePort, kube-proxy"
            yield Check(INWARD, what, INTERNET, curl(name, port))
            return
