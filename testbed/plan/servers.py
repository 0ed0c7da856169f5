"""A lab's real servers, its DNS and its load balancers, and whom each place asks for names."""

from collections.abc import Collection, Iterable, Iterator
from operator import attrgetter

from testbed.allocations import Allocations
from testbed.eks import control_plane
from testbed.lab import Cluster, Lab, api_servers, clusters_in, hostname, load_balancers
from testbed.net.served.programs import Program
from testbed.plan.balancers import Given
from testbed.plan.proxies import behind
from testbed.services import dns
from testbed.services.cluster_dns import pod_names, schema_version, service_records
from testbed.services.load_balancers.checker import checker_program
from testbed.services.load_balancers.classic import balancer_program
from testbed.services.load_balancers.health import ALL_WELL, Health
from testbed.services.load_balancers.naming import balancer_records
from testbed.vpc.fabric.resolver import DNS_ADDRESS, cluster_servers, resolver_address
from testbed.vpc.model import Vpc
from testbed.vpc.naming import INTERNET, region, resolver


def programs(lab: Lab, allocations: Allocations, health: Health = ALL_WELL) -> tuple[Program, ...]:
    """The real programs of the lab: its DNS servers and its load balancers.

    health: of load balancers' targets; DNS does not tell of a zone that has none.
    """
    public = [*_balancer_records(lab, allocations, health.left_out)]
    outside = [*_public_records(lab, allocations, ""), *public]
    return (
        *(one for vpc in lab.vpcs for one in _resolvers(lab, vpc, allocations, public)),
        dns.dns_server(INTERNET, (dns.OUTSIDE_ADDRESS,), outside),
        *_balancer_programs(lab, allocations),
    )


def _resolvers(
    lab: Lab, vpc: Vpc, allocations: Allocations, public: Iterable[dns.Record]
) -> Iterator[Program]:
    """A VPC's DNS server, which knows its instances and the public names, and its clusters'.

    A cluster that is alone has the VPC's; of several each has its own, which is asked first.
    """
    ns = resolver(vpc.name)
    records = [*_public_records(lab, allocations, vpc.name), *public]
    private = dns.Synthetic(dns.private_domain(region(vpc)), vpc.cidrs, "ip-")
    servers = cluster_servers(clusters_in(lab, vpc.name))
    own = [cluster for cluster in lab.clusters if cluster.vpc == vpc.name]
    alone = [] if servers else own
    if vpc.enable_dns_support:
        known = [one for cluster in alone for one in _cluster_records(cluster, allocations)]
        names = [one for cluster in alone for one in _pod_names(vpc, cluster)]
        addresses = resolver_address(vpc), DNS_ADDRESS
        yield dns.dns_server(ns, addresses, [*records, *known], (*names, private))
    for cluster in own if servers else ():
        known = [*records, *_cluster_records(cluster, allocations)]
        synthetic = (*_pod_names(vpc, cluster), private)
        address = servers[cluster.name]
        yield dns.dns_server(ns, (address,), known, synthetic, of=cluster.name)


def _cluster_records(cluster: Cluster, allocations: Allocations) -> Iterator[dns.Known]:
    given = [one for one in allocations.services if one.cluster == cluster.name]
    yield from service_records(cluster.services, given, behind(cluster, allocations))
    yield schema_version()


def _pod_names(vpc: Vpc, cluster: Cluster) -> Iterator[dns.Synthetic]:
    """Names for all addresses of pods in each of the cluster's namespaces."""
    own = [cluster.cluster_cidr] if cluster.cluster_cidr else []
    namespaces = {pod.namespace for pod in cluster.pods}
    namespaces |= {service.namespace for service in cluster.services}
    yield from pod_names(namespaces, [*vpc.cidrs, *own])


def _public_records(lab: Lab, allocations: Allocations, inside: str) -> Iterator[dns.Record]:
    """Names that all the world can ask for, but load balancers'.  inside: the VPC that asks."""
    regions = {vpc.name: region(vpc) for vpc in lab.vpcs if vpc.enable_dns_hostnames}
    for vpc, own in regions.items():
        enis = [eni for eni in allocations.enis if eni.vpc == vpc]
        near = any(peering.resolved.get(vpc) == inside for peering in lab.peerings)
        yield from dns.public_records(enis, own, inside=vpc == inside or near)
    yield from _registries(lab)
    yield from _api_records(lab, allocations, inside)


def _balancer_records(
    lab: Lab, allocations: Allocations, left_out: Collection[str]
) -> Iterator[dns.Record]:
    for cluster, balancer in load_balancers(lab):
        if balancer.netns not in left_out:
            name = hostname(lab, cluster, balancer.service)
            enis = [eni for eni in allocations.enis if eni.instance == balancer.netns]
            yield from balancer_records(name, enis)


def _api_records(lab: Lab, allocations: Allocations, inside: str) -> Iterator[dns.Record]:
    """Each cluster's API, by the name that its nodes know."""
    for cluster, vpc, _ in api_servers(lab):
        servers = [server for of, _, server in api_servers(lab) if of == cluster]
        addresses = control_plane.endpoint_addresses(
            cluster, servers, allocations.enis, inside=inside == vpc.name
        )
        for address in addresses:
            name = control_plane.endpoint_name(cluster, vpc)
            yield dns.Record(name, address, dns.INSTANCE_TTL_S)


def _registries(lab: Lab) -> Iterator[dns.Record]:
    """Each region's registry of container images, ECR: a host of the internet."""
    vpcs = {vpc.name: vpc for vpc in lab.vpcs}
    for own in sorted({region(vpcs[cluster.vpc]) for cluster in lab.clusters}):
        for host in lab.internet.hosts[:1]:
            yield dns.Record(dns.registry_name(own), host, dns.INSTANCE_TTL_S)


def _balancer_programs(lab: Lab, allocations: Allocations) -> Iterator[Program]:
    given = Given(lab, allocations)
    for cluster, balancer in load_balancers(lab):
        address = given.to(cluster, balancer.service)
        if balancer.is_network:
            groups, own = given.groups(cluster, balancer), given.addresses[balancer.netns]
            yield checker_program(balancer, groups, address, own)
        else:
            yield balancer_program(balancer, given.addresses, address)


def resolvers(lab: Lab, allocations: Allocations) -> dict[str, str]:
    """The resolv.conf of every namespace that has a DNS server to ask."""
    vpcs = {vpc.name: vpc for vpc in lab.vpcs}
    texts = {INTERNET: dns.outside_resolv()}
    for eni in filter(attrgetter("is_link"), allocations.enis):
        vpc = vpcs[eni.vpc]
        texts[eni.instance] = dns.node_resolv(resolver_address(vpc), region(vpc))
    for cluster in lab.clusters:
        vpc = vpcs[cluster.vpc]
        own = cluster_servers(clusters_in(lab, vpc.name))
        server = own.get(cluster.name, resolver_address(vpc))
        as_nodes = dns.node_resolv(resolver_address(vpc), region(vpc))
        servers = {
            namespace: dns.pod_resolv(server, region(vpc), namespace)
            for namespace in {pod.namespace for pod in cluster.pods}
        }
        running = {place.pod for place in allocations.pods if not place.host_network}
        for pod in cluster.pods:
            if pod.netns in running:
                of_node = pod.dns_policy == "Default"
                texts[pod.netns] = as_nodes if of_node else servers[pod.namespace]
    return texts
