"""Lab: the root value of a topology.

Nothing exists in the kernel while a Lab is built.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from ipaddress import IPv4Network
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag, TypeAdapter
from pydantic.dataclasses import dataclass

from testbed.description import STRICT, named
from testbed.eks import networking
from testbed.eks.control_plane import ApiServer
from testbed.eks.control_plane import api_servers as servers_of
from testbed.eks.model import EksCluster
from testbed.kops.model import KopsCluster
from testbed.kubernetes.model import Service
from testbed.networks.model import Peering, Site, TransitGateway
from testbed.services.load_balancers import Balancer, balancers
from testbed.services.load_balancers.health import (
    Health,
    States,
    unhealthy_targets,
    unhealthy_zones,
)
from testbed.services.load_balancers.naming import dns_name
from testbed.vpc.model import Internet, Vpc
from testbed.vpc.naming import region

Result = Literal["blocked", "delivered"]

LONGEST_NAME = 32  # of a lab: it is part of file names and of names on the host


@dataclass(frozen=True, config=STRICT)
class Expectation:
    """What a probe between two ends shall find; names may hold `*`, empty protocol means all."""

    source: str
    destination: str
    result: Result
    protocol: Literal["", "icmp", "tcp", "http"] = ""


@dataclass(frozen=True, config=STRICT)
class Slide:
    """A figure of the workshop: what a command prints on a node, to be compared with the lab.

    node: a node, a pod or a part of a VPC, such as its router `vpc-main`.
    command: of ip, iptables, nft or bridge, and one that only looks (`slides.looks`).
    Words in braces stand for the lab's own values: `{pod-1.ip}`, `{pod-1.veth}`, `{node-1.eth0}`.
    """

    title: str
    node: str
    command: str
    lines: str


def _kind(given: Any) -> str:
    """Which kind of cluster is described; one that does not say is EKS."""
    told = given.get("kind", "eks") if isinstance(given, Mapping) else None
    return str(told or getattr(given, "kind", "eks"))


Cluster = Annotated[
    Annotated[EksCluster, Tag("eks")] | Annotated[KopsCluster, Tag("kops")], Discriminator(_kind)
]


@dataclass(frozen=True, config=STRICT)
class Lab:
    """VPCs, the clusters in them, the networks around, and what is expected of the whole."""

    name: str
    vpcs: Annotated[tuple[Vpc, ...], named()]
    clusters: Annotated[tuple[Cluster, ...], named()] = ()
    internet: Internet = Internet()
    peerings: Annotated[tuple[Peering, ...], named()] = ()
    transit_gateways: Annotated[tuple[TransitGateway, ...], named()] = ()
    on_premises: Annotated[tuple[Site, ...], named()] = ()
    expect: tuple[Expectation, ...] = ()
    slides: Annotated[tuple[Slide, ...], named("title")] = ()

    def expected(self, source: str, destination: str, protocol: str) -> Result:
        """What a probe between two ends shall find: the first expectation that fits decides."""
        for one in self.expect:
            if (
                fnmatchcase(source, one.source)
                and fnmatchcase(destination, one.destination)
                and one.protocol in ("", protocol)
            ):
                return one.result
        return "delivered"


def kernel_modules(lab: Lab) -> tuple[str, ...]:
    """The modules it needs that no use of them loads."""
    bridged = any(isinstance(cluster, KopsCluster) for cluster in lab.clusters)
    return ("br_netfilter",) if bridged else ()


def clusters_in(lab: Lab, vpc: str) -> tuple[str, ...]:
    """The names of a VPC's clusters."""
    return tuple(cluster.name for cluster in lab.clusters if cluster.vpc == vpc)


def load_balancers(lab: Lab) -> Iterator[tuple[Cluster, Balancer]]:
    """Every Service's load balancer in every zone, with the cluster it is of."""
    vpcs = {vpc.name: vpc for vpc in lab.vpcs}
    seen: set[str] = set()
    for cluster in lab.clusters:
        for one in _balancers(cluster, vpcs):
            taken = one.service.qualified in seen
            yield cluster, replace(one, owner=cluster.name) if taken else one
        seen |= {service.qualified for service in cluster.services}


def _balancers(cluster: Cluster, vpcs: Mapping[str, Vpc]) -> tuple[Balancer, ...]:
    if cluster.vpc not in vpcs:
        return ()
    era = cluster.proxy.era or "current"
    return balancers(vpcs[cluster.vpc], cluster.nodes, cluster.services, era)


def health(lab: Lab, states: States) -> Health:
    """What the lab's load balancers make of their targets now."""
    own: dict[str, list[Balancer]] = {}
    for cluster, balancer in load_balancers(lab):
        own.setdefault(cluster.name, []).append(balancer)
    known = {one.netns: states(one.netns) for each in own.values() for one in each}
    left_out = (one.netns for each in own.values() for one in unhealthy_zones(each, known))
    unhealthy = (one for each in own.values() for one in unhealthy_targets(each, known))
    return Health(frozenset(left_out), frozenset(unhealthy))


def api_servers(lab: Lab) -> Iterator[tuple[EksCluster, Vpc, ApiServer]]:
    """Every API server, with its cluster and that one's VPC."""
    vpcs = {vpc.name: vpc for vpc in lab.vpcs}
    for place, cluster in enumerate(lab.clusters):
        if isinstance(cluster, EksCluster) and cluster.vpc in vpcs:
            for server in servers_of(cluster, vpcs[cluster.vpc], place):
                yield cluster, vpcs[cluster.vpc], server


def hostname(lab: Lab, cluster: Cluster, service: Service) -> str:
    """The DNS name of a Service's load balancer; empty where it has none."""
    for of, balancer in load_balancers(lab):
        if (of.name, balancer.service.qualified) == (cluster.name, service.qualified):
            vpc = next(vpc for vpc in lab.vpcs if vpc.name == cluster.vpc)
            return dns_name(cluster.name, service, region(vpc))
    return ""


def service_cidr(cluster: Cluster, vpc: Vpc) -> IPv4Network:
    """The range of a cluster's Services.  vpc: the cluster's."""
    match cluster:
        case EksCluster():
            return networking.service_cidr(cluster, vpc)
        case KopsCluster():
            return cluster.service_cidr


def to_json(lab: Lab) -> Any:
    """The lab as JSON values, from which `from_json` makes an equal one."""
    return TypeAdapter(Lab).dump_python(lab, mode="json")


def from_json(values: Any) -> Lab:
    """The lab `to_json` was given."""
    return TypeAdapter(Lab).validate_python(values)
