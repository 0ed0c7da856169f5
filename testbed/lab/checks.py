"""What cannot be in a lab, across its parts; the domains have their own checks."""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import chain

from testbed.description import duplicates
from testbed.description.problem import Path, Problem, Problems, names, quoted, spelt, unknown
from testbed.eks import checks as eks_checks
from testbed.eks.control_plane import PUBLIC
from testbed.eks.fargate.profiles import on_fargate
from testbed.eks.model import EksCluster
from testbed.kops import checks as kops_checks
from testbed.kops.model import KopsCluster
from testbed.kubernetes import checks as kubernetes_checks
from testbed.kubernetes import kube_proxy
from testbed.lab import (
    LONGEST_NAME,
    Cluster,
    Lab,
    api_servers,
    hostname,
    load_balancers,
    service_cidr,
)
from testbed.lab.slides import slide_problems
from testbed.networks import checks as networks_checks
from testbed.networks import transit_checks
from testbed.networks.peering import neighbours
from testbed.networks.transit_gateway import referenced
from testbed.services import checks as services_checks
from testbed.services.load_balancers import balancers, is_made
from testbed.services.load_balancers import checks as load_balancer_checks
from testbed.vpc.checks import quotas
from testbed.vpc.checks import vpc as vpc_checks
from testbed.vpc.fabric.eni import nat_netns
from testbed.vpc.fabric.instance import DOCKER
from testbed.vpc.model import Vpc
from testbed.vpc.naming import (
    INTERNET,
    internet_gateway,
    private_gateway,
    resolver,
    router,
    transit_gateway,
)
from testbed.vpc.security import checks as security_checks
from testbed.vpc.security.model import ELSEWHERE


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
    yield from networks_checks.peering_problems(lab.peerings, _vpcs(lab))
    yield from transit_checks.problems(lab.transit_gateways, _vpcs(lab), lab.on_premises)
    for vpc in lab.vpcs:
        inside = [cluster for cluster in lab.clusters if cluster.vpc == vpc.name]
        enis = {node: most for one in inside for node, most in _enis(one).items()}
        enis |= {instance.name: 1 for instance in vpc.instances}
        around = networks_checks.around(vpc, lab.peerings, lab.transit_gateways)
        peered = neighbours(vpc, lab.peerings, _vpcs(lab), active=False)
        attached = referenced(vpc, lab.transit_gateways, _vpcs(lab))
        groups = security_checks.problems(
            vpc, _made(lab, vpc), _groups_of(lab, peered), _groups_of(lab, attached)
        )
        found = vpc_checks.problems(vpc, enis, around), groups
        for problem in chain.from_iterable(found):
            yield problem.under("vpcs", vpc.name)
    for cluster in lab.clusters:
        for problem in _cluster(lab, cluster):
            yield problem.under("clusters", cluster.name)
    yield from networks_checks.site_problems(lab.on_premises, _vpcs(lab), lab.transit_gateways)
    yield from kops_checks.conflicts(c for c in lab.clusters if isinstance(c, KopsCluster))
    yield from _names_twice(lab)
    yield from _internet(lab)
    yield from _expectations(lab)
    yield from slide_problems(lab.slides, [name for name, _ in _places(lab)])


def _made(lab: Lab, vpc: Vpc) -> list[str]:
    return [cluster.security_group for cluster in lab.clusters if cluster.vpc == vpc.name]


def _groups_of(lab: Lab, others: Iterable[Vpc]) -> list[str]:
    """The groups of other VPCs, as rules name them."""
    return [
        f"{other.name}{ELSEWHERE}{name}"
        for other in others
        if other.security_groups
        for name in security_checks.group_names(other, _made(lab, other))
    ]


def _vpcs(lab: Lab) -> dict[str, Vpc]:
    return {vpc.name: vpc for vpc in lab.vpcs}


def warnings(lab: Lab) -> Problems:
    """What AWS or Kubernetes advise against, though it can be."""
    for vpc in lab.vpcs:
        for i, cidr in enumerate(vpc.cidrs):
            if cidr.overlaps(DOCKER):
                message = f"nodes that run Docker cannot reach {DOCKER}: it is docker0's"
                yield Problem(("vpcs", vpc.name, "cidrs", i), message)
        for problem in vpc_checks.warnings(vpc):
            yield problem.under("vpcs", vpc.name)
    yield from quotas.warnings(lab.vpcs)
    yield from networks_checks.warnings(_vpcs(lab), lab.peerings, lab.on_premises)
    for twice in duplicates(cluster.vpc for cluster in lab.clusters):
        message = "two clusters in one VPC share its addresses; a VPC for each is advised"
        yield Problem(("vpcs", twice), message)
    for cluster in lab.clusters:
        own = services_checks.warnings(cluster.services, cluster.pods)
        for problem in (*_own_warnings(lab, cluster), *_without_balancer(lab, cluster), *own):
            yield problem.under("clusters", cluster.name)


def _own_warnings(lab: Lab, cluster: Cluster) -> Problems:
    match cluster:
        case EksCluster():
            yield from eks_checks.warnings(cluster, _vpcs(lab)[cluster.vpc])
        case KopsCluster():
            yield from kops_checks.warnings(cluster, _vpcs(lab)[cluster.vpc])


def _without_balancer(lab: Lab, cluster: Cluster) -> Problems:
    for service in cluster.services:
        if service.type == "LoadBalancer" and not hostname(lab, cluster, service):
            # kubernetes v1.14, aws.go: EnsureLoadBalancer
            message = (
                "could not find any suitable subnets for creating the ELB: no zone has both"
                " nodes and a public subnet"
            )
            if not is_made(service):
                kind = quoted(service.load_balancer_class)
                message = f"pending: nobody makes load balancers of the class {kind}"
            yield Problem(("services", service.qualified), message)


def _enis(cluster: Cluster) -> dict[str, int]:
    match cluster:
        case EksCluster():
            return eks_checks.enis(cluster) | dict.fromkeys(on_fargate(cluster), 1)
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
    for problem in kube_proxy.problems(cluster.proxy):
        yield problem.under("kubeProxy")
    yield from _services(cluster, vpcs[cluster.vpc])


def _services(cluster: Cluster, vpc: Vpc) -> Problems:
    others = {f"VPC {quoted(vpc.name)}": vpc.cidrs}
    if cluster.cluster_cidr:
        others["the pods"] = (cluster.cluster_cidr,)
    yield from services_checks.problems(cluster.services, service_cidr(cluster, vpc), others)
    yield from services_checks.slice_problems(cluster.endpoint_slices)
    yield from load_balancer_checks.problems(
        cluster.services, cluster.proxy.era, pods_in_vpc=isinstance(cluster, EksCluster)
    )
    yield from load_balancer_checks.subnet_problems(cluster.services, vpc)
    own = balancers(vpc, cluster.nodes, cluster.services)
    yield from load_balancer_checks.address_problems(own)
    yield from load_balancer_checks.elastic_problems(own)


def _places(lab: Lab) -> Iterator[tuple[str, Path]]:
    """Every name a user can type for a part of the lab, and where it comes from."""
    yield INTERNET, ("internet",)
    for vpc in lab.vpcs:
        for name, path in _in_vpc(vpc):
            yield name, ("vpcs", vpc.name, *path)
    yield from _around(lab)
    for cluster in lab.clusters:
        for node in cluster.nodes:
            yield node.name, ("clusters", cluster.name, "nodes", node.name)
        for pod in cluster.pods:
            yield pod.netns, ("clusters", cluster.name, "pods", pod.netns)
    for cluster, balancer in load_balancers(lab):
        path = ("clusters", cluster.name, "services", balancer.service.qualified)
        yield balancer.netns, path
    for owner, _, server in api_servers(lab):
        yield server.netns, ("clusters", owner.name, "controlPlane")


def _in_vpc(vpc: Vpc) -> Iterator[tuple[str, Path]]:
    for place in (router, internet_gateway, private_gateway, resolver):
        yield place(vpc.name), ()
    for gateway in vpc.nat_gateways:
        yield nat_netns(gateway.name), ("natGateways", gateway.name)
    for instance in vpc.instances:
        yield instance.name, ("instances", instance.name)


def _around(lab: Lab) -> Iterator[tuple[str, Path]]:
    for gateway in lab.transit_gateways:
        yield transit_gateway(gateway.name), ("transitGateways", gateway.name)
    for site in lab.on_premises:
        yield site.name, ("onPremises", site.name)
        for host in site.hosts:
            yield host.name, ("onPremises", site.name, "hosts", host.name)


def _names_twice(lab: Lab) -> Problems:
    first: dict[str, Path] = {}
    for name, path in _places(lab):
        if name in first:
            message = f"the name {quoted(name)} is taken by {spelt(first[name])}"
            yield Problem(path, message)
        first.setdefault(name, path)


def _internet(lab: Lab) -> Problems:
    for i, host in enumerate(lab.internet.hosts):
        ranges = [cidr for vpc in lab.vpcs for cidr in vpc.cidrs]
        ranges += [cidr for site in lab.on_premises for cidr in site.cidrs]
        near = [cidr for cidr in ranges if host in cidr]
        taken = [lab.internet.public_cidr, *([PUBLIC] if [*api_servers(lab)] else [])]
        for cidr in (*near, *[one for one in taken if host in one]):
            message = f"a host of the internet cannot have {host}, which is inside {cidr}"
            yield Problem(("internet", "hosts", i), message)


def _expectations(lab: Lab) -> Problems:
    pods = [pod.netns for cluster in lab.clusters for pod in cluster.pods]
    ends = [*pods, *(instance.name for vpc in lab.vpcs for instance in vpc.instances)]
    ends += [host.name for site in lab.on_premises for host in site.hosts]
    for i, expected in enumerate(lab.expect):
        for key in ("source", "destination"):
            pattern = getattr(expected, key)
            if not any(fnmatchcase(end, pattern) for end in ends):
                yield Problem(("expect", i, key), unknown("pod, instance or host", pattern, ends))
