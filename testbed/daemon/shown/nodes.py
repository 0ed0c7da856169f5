"""What `get` shows of pods and the nodes they run on.  Pure."""

from collections.abc import Callable, Iterator
from typing import Any

from testbed.allocations import Allocations
from testbed.eks import limits as eks_limits
from testbed.eks.fargate.micro_vm import node_name
from testbed.eks.model import EksCluster
from testbed.kops import limits as kops_limits
from testbed.kubernetes.model import Node, Pod
from testbed.kubernetes.placement import PodAddress
from testbed.lab import Cluster, Lab
from testbed.vpc.eni import Eni
from testbed.vpc.model import Vpc

Row = dict[str, Any]


def _pods(lab: Lab, allocations: Allocations) -> Iterator[Row]:
    placed = {placement.pod: placement for placement in allocations.pods}
    pending = {pod.pod: pod for pod in allocations.pending}
    for cluster in lab.clusters:
        vpc = _vpc(lab, cluster)
        for pod in cluster.pods:
            place, waiting = placed.get(pod.netns), pending.get(pod.netns)
            bound = (waiting.node if waiting else "") or pod.node
            of_eni = cluster.kind == "eks" or pod.host_network
            yield {
                "name": pod.netns,
                "status": "Running" if place else "Pending",
                "node": _node(place, vpc) if place else bound,
                "ip": str(place.ip) if place else "",
                "eni": f"eth{place.device_index}" if place and of_eni else "",
                "ports": ",".join(_ports(pod)),
                "cluster": cluster.name,
                "reason": waiting.reason if waiting else "",
            }


def _vpc(lab: Lab, cluster: Cluster) -> Vpc:
    return next(vpc for vpc in lab.vpcs if vpc.name == cluster.vpc)


def _node(place: PodAddress, vpc: Vpc) -> str:
    """As Kubernetes calls it: a pod on Fargate has one of its own."""
    return node_name(place.ip, vpc) if place.on_fargate else place.node


def _ports(pod: Pod) -> list[str]:
    return [str(port) for port in pod.served]


def _nodes(lab: Lab, allocations: Allocations) -> Iterator[Row]:
    ranges = {own.node: str(own.cidr) for own in allocations.ranges}
    for cluster in lab.clusters:
        vpc = _vpc(lab, cluster)
        for node in cluster.nodes:
            enis = [eni for eni in allocations.enis if eni.instance == node.name]
            pods = [place for place in allocations.pods if place.node == node.name]
            count = f"{len(pods)}/{_max_pods(cluster, node)}"
            pod_cidr = ranges.get(node.name, "")
            ready = isinstance(cluster, EksCluster) or bool(pod_cidr)
            row = _row(node.name, node.instance_type, vpc, enis, ready=ready)
            yield {**row, "podCidr": pod_cidr, "pods": count, "cluster": cluster.name}
        for place in allocations.pods:
            if place.cluster == cluster.name and place.on_fargate:
                enis = [eni for eni in allocations.enis if eni.instance == place.pod]
                row = _row(node_name(place.ip, vpc), "fargate", vpc, enis)
                yield {**row, "podCidr": "", "pods": "1/1", "cluster": cluster.name}


def _row(name: str, kind: str, vpc: Vpc, enis: list[Eni], *, ready: bool = True) -> Row:
    first = enis[0]
    zones = {subnet.name: subnet.availability_zone for subnet in vpc.subnets}
    return {
        "name": name,
        "status": "Ready" if ready else "NotReady",
        "type": kind,
        "zone": zones[first.subnet],
        "subnet": first.subnet,
        "ip": str(first.primary),
        "publicIp": str(first.public_ip or ""),
        "enis": len(enis),
    }


def _max_pods(cluster: Cluster, node: Node) -> int:
    if isinstance(cluster, EksCluster):
        return eks_limits.kubelet_max_pods(cluster, node)
    return kops_limits.kubelet_max_pods(node)


NODE_KINDS: dict[str, Callable[[Lab, Allocations], Iterator[Row]]] = {
    "pods": _pods,
    "nodes": _nodes,
}
