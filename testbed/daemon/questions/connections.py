"""Who is seen as client: the connections to ask it with, and the settings to ask it for.  Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from testbed.allocations import Allocations
from testbed.description.ports import ECHO_PORTS
from testbed.eks.model import EksCluster
from testbed.kubernetes.placement import PodAddress
from testbed.lab import Cluster, Lab
from testbed.net.facts import IpAddress
from testbed.vpc.endpoints import HTTP, first_port
from testbed.vpc.naming import INTERNET

Kind = Literal["same vpc", "another vpc", "on-premises", "internet"]


@dataclass(frozen=True)
class Server:
    """Somebody who tells whom it saw."""

    name: str
    kind: Kind
    address: IpAddress
    port: int


@dataclass(frozen=True)
class Connection:
    """From a pod to a server."""

    pod: PodAddress
    server: Server


@dataclass(frozen=True)
class Setting:
    """A lab with one way of SNAT, and what that is called."""

    name: str
    lab: Lab


def connections(lab: Lab, allocations: Allocations) -> Iterator[Connection]:
    """From the first pod of each interface of each node, to every server that is no pod."""
    for cluster in lab.clusters:
        servers = list(_servers(lab, cluster, allocations))
        seen: set[tuple[str, int]] = set()
        for pod in allocations.pods:
            interface = (pod.node, pod.device_index)
            if pod.cluster == cluster.name and not pod.host_network and interface not in seen:
                seen.add(interface)
                yield from (Connection(pod, server) for server in servers)


def _servers(lab: Lab, cluster: Cluster, allocations: Allocations) -> Iterator[Server]:
    primary = {eni.instance: eni.primary for eni in allocations.enis if eni.device_index == 0}
    for vpc in lab.vpcs:
        kind: Kind = "same vpc" if vpc.name == cluster.vpc else "another vpc"
        for instance in vpc.running:
            port = first_port(instance.ports, "http")
            if port:
                yield Server(instance.name, kind, primary[instance.name], port)
    for site in lab.on_premises:
        for host in site.hosts:
            yield Server(host.name, "on-premises", host.address, first_port(ECHO_PORTS, "http"))
    for address in lab.internet.hosts[:1]:
        yield Server(INTERNET, "internet", address, HTTP)


def settings(lab: Lab) -> Iterator[Setting]:
    """The lab with each setting that decides whose address the other side sees.

    amazon-vpc-cni-k8s, README: EXTERNALSNAT, and EXCLUDE_SNAT_CIDRS with all that is around.
    """
    outside = {cidr for vpc in lab.vpcs for cidr in vpc.cidrs}
    outside |= {cidr for site in lab.on_premises for cidr in site.cidrs}
    for name, external, excluded in (
        ("SNAT", False, False),
        ("EXCLUDE_SNAT_CIDRS", False, True),
        ("EXTERNALSNAT", True, False),
    ):
        clusters: list[Cluster] = []
        for one in lab.clusters:
            if isinstance(one, EksCluster):
                own = {cidr for vpc in lab.vpcs if vpc.name == one.vpc for cidr in vpc.cidrs}
                cidrs = tuple(sorted(outside - own)) if excluded else ()
                env = replace(one.env, external_snat=external, exclude_snat_cidrs=cidrs)
                clusters.append(replace(one, env=env))
            else:
                clusters.append(one)
        yield Setting(name, replace(lab, clusters=tuple(clusters)))


def owner(address: IpAddress, pod: PodAddress, allocations: Allocations) -> str:
    """Whose address the server saw: `pod`, `node`, or the name of what translated."""
    if address == pod.ip:
        return "pod"
    for eni in allocations.enis:
        if address in eni.delivered:
            return "node" if eni.instance == pod.node else eni.instance
        if address == eni.public_ip:
            return "node's public address" if eni.instance == pod.node else eni.instance
    return "?"
