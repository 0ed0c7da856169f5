"""Lab: the root value of a topology, and the checks across its parts.

Nothing exists in the kernel while a Lab is built.
"""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag, TypeAdapter
from pydantic.dataclasses import dataclass

from testbed.description import STRICT, duplicates, named
from testbed.description.problem import Path, Problem, Problems, names, quoted, spelt, unknown
from testbed.eks import checks as eks_checks
from testbed.eks.model import EksCluster
from testbed.kops import checks as kops_checks
from testbed.kops.model import KopsCluster
from testbed.kubernetes import checks as kubernetes_checks
from testbed.kubernetes.model import Service
from testbed.services import checks as services_checks
from testbed.services import load_balancer
from testbed.services.load_balancer import Balancer, balancers, dns_name
from testbed.vpc import checks as vpc_checks
from testbed.vpc.eni import nat_netns
from testbed.vpc.instance import DOCKER
from testbed.vpc.model import Internet, Vpc
from testbed.vpc.naming import INTERNET, internet_gateway, region, resolver, router

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
    """VPCs, the clusters in them, and what is expected of the whole."""

    name: str
    vpcs: Annotated[tuple[Vpc, ...], named()]
    clusters: Annotated[tuple[Cluster, ...], named()] = ()
    internet: Internet = Internet()
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


def load_balancers(lab: Lab) -> Iterator[tuple[Cluster, Balancer]]:
    """Every Service's load balancer in every zone, with the cluster it is of."""
    vpcs = {vpc.name: vpc for vpc in lab.vpcs}
    for cluster in lab.clusters:
        if cluster.vpc in vpcs:
            for one in balancers(vpcs[cluster.vpc], cluster.nodes, cluster.services):
                yield cluster, one


def hostname(lab: Lab, cluster: Cluster, service: Service) -> str:
    """The DNS name of a Service's load balancer; empty where it has none."""
    for of, balancer in load_balancers(lab):
        if (of.name, balancer.service.qualified) == (cluster.name, service.qualified):
            vpc = next(vpc for vpc in lab.vpcs if vpc.name == cluster.vpc)
            return dns_name(cluster.name, service, region(vpc))
    return ""


def to_json(lab: Lab) -> Any:
    """The lab as JSON values, from which `from_json` makes an equal one."""
    return TypeAdapter(Lab).dump_python(lab, mode="json")


def from_json(values: Any) -> Lab:
    """The lab `to_json` was given."""
    return TypeAdapter(Lab).validate_python(values)


def check(lab: Lab) -> Lab:
    """The lab itself, if it can be.

    Raises DescriptionError, or AwsError where AWS would refuse the same, for its first problem.
    """
    for problem in problems(lab):
        raise problem.error()
    return lab


def problems(lab: Lab) -> Problems:
    """Everything wrong with a lab, the most basic first; keys are the topology file's."""
    yield from names(("name",), lab.name, LONGEST_NAME)
    for twice in duplicates(vpc.name for vpc in lab.vpcs):
        yield Problem(("vpcs", twice), f"there are two VPCs {quoted(twice)}")
    for twice in duplicates(cluster.name for cluster in lab.clusters):
        yield Problem(("clusters", twice), f"there are two clusters {quoted(twice)}")
    for vpc in lab.vpcs:
        inside = [cluster for cluster in lab.clusters if cluster.vpc == vpc.name]
        enis = {node: most for one in inside for node, most in _enis(one).items()}
        enis |= {instance.name: 1 for instance in vpc.instances}
        for problem in vpc_checks.problems(vpc, enis):
            yield problem.under("vpcs", vpc.name)
    for cluster in lab.clusters:
        for problem in _cluster(lab, cluster):
            yield problem.under("clusters", cluster.name)
    yield from kops_checks.conflicts(c for c in lab.clusters if isinstance(c, KopsCluster))
    yield from _names_twice(lab)
    yield from _one_domain(lab)
    yield from _internet(lab)
    yield from _expectations(lab)
    yield from _slides(lab)


def _one_domain(lab: Lab) -> Problems:
    """A VPC's resolver answers for all its clusters, whose domain is one: cluster.local."""
    owners: dict[tuple[str, str], str] = {}
    for cluster in lab.clusters:
        for service in cluster.services:
            owner = owners.setdefault((cluster.vpc, service.qualified), cluster.name)
            if owner != cluster.name:
                message = (
                    f"cluster {quoted(owner)} of this VPC has a Service"
                    f" {quoted(service.qualified)} too, and the VPC's resolver knows one of a name"
                )
                yield Problem(("clusters", cluster.name, "services", service.name), message)


def warnings(lab: Lab) -> Problems:
    """What AWS or Kubernetes advise against, though it can be."""
    for vpc in lab.vpcs:
        for i, cidr in enumerate(vpc.cidrs):
            if cidr.overlaps(DOCKER):
                message = f"nodes that run Docker cannot reach {DOCKER}: it is docker0's"
                yield Problem(("vpcs", vpc.name, "cidrs", i), message)
    for twice in duplicates(cluster.vpc for cluster in lab.clusters):
        message = "two clusters in one VPC share its addresses; a VPC for each is advised"
        yield Problem(("vpcs", twice), message)
    for cluster in lab.clusters:
        for service in cluster.services:
            if service.type == "LoadBalancer" and not hostname(lab, cluster, service):
                # kubernetes v1.14, aws.go: EnsureLoadBalancer
                message = (
                    "could not find any suitable subnets for creating the ELB: no zone has both"
                    " nodes and a public subnet"
                )
                yield Problem(("clusters", cluster.name, "services", service.name), message)


def _enis(cluster: Cluster) -> dict[str, int]:
    match cluster:
        case EksCluster():
            return eks_checks.enis(cluster)
        case KopsCluster():
            return kops_checks.enis(cluster)


def _cluster(lab: Lab, cluster: Cluster) -> Problems:
    vpcs = {vpc.name: vpc for vpc in lab.vpcs}
    if cluster.vpc not in vpcs:
        yield Problem(("vpc",), unknown("VPC", cluster.vpc, vpcs))
        return
    match cluster:
        case EksCluster():
            yield from eks_checks.problems(cluster, vpcs[cluster.vpc])
        case KopsCluster():
            yield from kops_checks.problems(cluster, vpcs[cluster.vpc])
    yield from kubernetes_checks.problems(cluster.nodes, cluster.pods)
    yield from _services(cluster, vpcs[cluster.vpc])


def _services(cluster: Cluster, vpc: Vpc) -> Problems:
    others = {f"VPC {quoted(vpc.name)}": vpc.cidrs}
    if cluster.cluster_cidr:
        others["the pods"] = (cluster.cluster_cidr,)
    yield from services_checks.problems(cluster.services, cluster.service_cidr, others)
    yield from load_balancer.problems(cluster.services)


def _places(lab: Lab) -> Iterator[tuple[str, Path]]:
    """Every name a user can type for a part of the lab, and where it comes from."""
    yield INTERNET, ("internet",)
    for vpc in lab.vpcs:
        yield router(vpc.name), ("vpcs", vpc.name)
        yield internet_gateway(vpc.name), ("vpcs", vpc.name)
        yield resolver(vpc.name), ("vpcs", vpc.name)
        for gateway in vpc.nat_gateways:
            yield nat_netns(gateway.name), ("vpcs", vpc.name, "natGateways", gateway.name)
        for instance in vpc.instances:
            yield instance.name, ("vpcs", vpc.name, "instances", instance.name)
    for cluster in lab.clusters:
        for node in cluster.nodes:
            yield node.name, ("clusters", cluster.name, "nodes", node.name)
        for pod in cluster.pods:
            yield pod.netns, ("clusters", cluster.name, "pods", pod.name)
    for cluster, balancer in load_balancers(lab):
        path = ("clusters", cluster.name, "services", balancer.service.name)
        yield balancer.netns, path


def _names_twice(lab: Lab) -> Problems:
    first: dict[str, Path] = {}
    for name, path in _places(lab):
        if name in first:
            message = f"the name {quoted(name)} is taken by {spelt(first[name])}"
            yield Problem(path, message)
        first.setdefault(name, path)


def _internet(lab: Lab) -> Problems:
    for i, host in enumerate(lab.internet.hosts):
        near = [cidr for vpc in lab.vpcs for cidr in vpc.cidrs if host in cidr]
        for cidr in (*near, *[one for one in [lab.internet.public_cidr] if host in one]):
            message = f"a host of the internet cannot have {host}, which is inside {cidr}"
            yield Problem(("internet", "hosts", i), message)


def _expectations(lab: Lab) -> Problems:
    pods = [pod.netns for cluster in lab.clusters for pod in cluster.pods]
    ends = [*pods, *(instance.name for vpc in lab.vpcs for instance in vpc.instances)]
    for i, expected in enumerate(lab.expect):
        for key in ("source", "destination"):
            pattern = getattr(expected, key)
            if not any(fnmatchcase(end, pattern) for end in ends):
                yield Problem(("expect", i, key), unknown("pod or instance", pattern, ends))


def _slides(lab: Lab) -> Problems:
    places = [name for name, _ in _places(lab)]
    for slide in lab.slides:
        if slide.node not in places:
            yield Problem(("slides", slide.title, "node"), unknown("place", slide.node, places))
        for word in re.findall(r"{([^{}]*)}", slide.lines):
            owner = word.rpartition(".")[0]
            if owner not in places:
                message = unknown("place", owner or word, places)
                yield Problem(("slides", slide.title, "lines"), message)
