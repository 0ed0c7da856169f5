"""plan(lab, allocations): all facts of a lab, the union of what its domains want.  Pure."""

from collections.abc import Collection, Iterable, Iterator

from testbed.allocations import Allocations
from testbed.eks import control_plane
from testbed.eks.fargate import micro_vm
from testbed.eks.model import EksCluster
from testbed.eks.wiring import node as eks_node
from testbed.eks.wiring import pod as eks_pod
from testbed.errors import TestbedError
from testbed.kops.cluster import cluster_facts
from testbed.kops.model import KopsCluster
from testbed.kops.routes import with_pod_routes
from testbed.kubernetes import endpoints as kubernetes_endpoints
from testbed.kubernetes.placement import Placed
from testbed.lab import Cluster, Lab, api_servers, hostname, load_balancers
from testbed.net.endpoints import Endpoint, Listener
from testbed.net.facts import ChainPiece, Fact, Key, State
from testbed.net.iptables import merge
from testbed.net.programs import Program
from testbed.net.show import show
from testbed.networks.endpoints import host_endpoints, host_listeners
from testbed.networks.peering import peering_facts
from testbed.networks.private_gateway import private_gateway_facts
from testbed.networks.routes import ends, hops, with_propagated_routes
from testbed.networks.site import site_facts
from testbed.networks.transit_gateway import sources, transit_gateway_facts
from testbed.plan.metadata import metadata_listeners
from testbed.plan.proxies import behind, health_listeners, kubelets, proxy_facts
from testbed.plan.security import memberships, with_security_groups
from testbed.services import dns
from testbed.services.cluster_dns import service_records
from testbed.services.load_balancer import (
    balancer_facts,
    balancer_program,
    balancer_records,
)
from testbed.vpc.endpoints import instance_endpoints, internet_listeners
from testbed.vpc.endpoints import listeners as instance_listeners
from testbed.vpc.eni import nat_netns
from testbed.vpc.fabric import fabric_facts
from testbed.vpc.gateways import internet_gateway_facts, nat_gateway_facts
from testbed.vpc.instance import bare_facts
from testbed.vpc.internet import internet_facts
from testbed.vpc.model import Vpc
from testbed.vpc.naming import INTERNET, region, resolver
from testbed.vpc.resolver import DNS_ADDRESS, resolver_address, resolver_facts


def plan(lab: Lab, allocations: Allocations) -> State:
    """The kernel this lab wants.  Chains that several write are folded into one fact each.

    Raises TestbedError when two facts contradict each other (a bug of the planners).
    """
    wanted = list(_wanted(lab, allocations))
    pieces = [fact for fact in wanted if isinstance(fact, ChainPiece)]
    facts = [fact for fact in wanted if not isinstance(fact, ChainPiece)]
    return _without_contradiction([*facts, *merge(pieces)])


def _wanted(lab: Lab, allocations: Allocations) -> Iterator[Fact]:
    yield from internet_facts(lab.internet, allocations.enis)
    built = vpcs(lab, allocations)
    for vpc in built.values():
        yield from _vpc_facts(vpc, lab, allocations)
    yield from peering_facts(lab.peerings, built)
    for transit in lab.transit_gateways:
        yield from transit_gateway_facts(transit, built, lab.on_premises)
    for site in lab.on_premises:
        yield from site_facts(site, ends(built, lab.transit_gateways))
    for cluster in lab.clusters:
        yield from _cluster_facts(cluster, built[cluster.vpc], allocations)
        yield from proxy_facts(cluster, allocations)
    enis = {eni.instance: eni for eni in allocations.enis if eni.device_index == 0}
    for _, vpc, server in api_servers(lab):
        yield from control_plane.server_facts(server, vpc, enis[server.netns])
    for _, balancer in load_balancers(lab):
        yield from balancer_facts(balancer, enis[balancer.netns])


def _vpc_facts(vpc: Vpc, lab: Lab, allocations: Allocations) -> Iterator[Fact]:
    enis = [eni for eni in allocations.enis if eni.vpc == vpc.name]
    subnets = {subnet.name: subnet for subnet in vpc.subnets}
    around = hops(vpc, lab.peerings, lab.transit_gateways)
    yield from fabric_facts(vpc, enis, around, memberships(lab))
    yield from resolver_facts(vpc)
    if vpc.internet_gateway:
        yield from internet_gateway_facts(vpc, enis)
    if vpc.virtual_private_gateway:
        yield from private_gateway_facts(vpc, lab.on_premises, enis)
    gateways = {nat_netns(gateway.name) for gateway in vpc.nat_gateways}
    others = sources(vpc.name, lab.transit_gateways, _by_name(lab), lab.on_premises)
    for eni in enis:
        if eni.instance in gateways:
            yield from nat_gateway_facts(vpc, subnets[eni.subnet], eni, others)
    primary = {eni.instance: eni for eni in enis if eni.device_index == 0}
    for instance in vpc.instances:
        yield from bare_facts(instance, primary[instance.name], subnets[instance.subnet])


def _by_name(lab: Lab) -> dict[str, Vpc]:
    return {vpc.name: vpc for vpc in lab.vpcs}


def _cluster_facts(cluster: Cluster, vpc: Vpc, allocations: Allocations) -> Iterator[Fact]:
    match cluster:
        case EksCluster():
            yield from _eks_facts(cluster, vpc, allocations)
        case KopsCluster():
            found = Placed(allocations.pods, allocations.pending, allocations.ranges)
            yield from cluster_facts(cluster, vpc, allocations.enis, found)


def _eks_facts(cluster: EksCluster, vpc: Vpc, allocations: Allocations) -> Iterator[Fact]:
    for node in cluster.nodes:
        enis = [eni for eni in allocations.enis if eni.instance == node.name]
        yield from eks_node.node_facts(cluster, vpc, node, enis)
    pods = {pod.netns: pod for pod in cluster.pods}
    own = [placed for placed in allocations.pods if placed.cluster == cluster.name]
    for placed in own:
        if not placed.on_fargate:
            yield from eks_pod.pod_facts(cluster, vpc, pods[placed.pod], placed)
    subnets = {subnet.name: subnet for subnet in vpc.subnets}
    alone = {placed.pod for placed in own if placed.on_fargate}
    for eni in allocations.enis:
        if eni.instance in alone:
            yield from micro_vm.pod_facts(eni, subnets[eni.subnet])


def _without_contradiction(facts: Iterable[Fact]) -> State:
    seen: dict[Key, Fact] = {}
    for fact in facts:
        other = seen.setdefault(fact.key, fact)
        if other != fact:
            raise TestbedError(f"two plans for one thing: {show(fact)} and {show(other)} (a bug)")
    return frozenset(seen.values())


def vpcs(lab: Lab, allocations: Allocations) -> dict[str, Vpc]:
    """The VPCs by name, with what others made in them: routes and security groups."""
    built = {
        vpc.name: with_propagated_routes(with_security_groups(lab, vpc), lab.on_premises)
        for vpc in lab.vpcs
    }
    for cluster in lab.clusters:
        if isinstance(cluster, KopsCluster):
            built[cluster.vpc] = with_pod_routes(cluster, built[cluster.vpc], allocations.ranges)
    return built


def listeners(lab: Lab, allocations: Allocations) -> tuple[Listener, ...]:
    """Every port the lab serves: its pods', kube-proxies', instances' and the internet's."""
    pods = [pod for cluster in lab.clusters for pod in cluster.pods]
    bare = [instance for vpc in lab.vpcs for instance in vpc.instances]
    return (
        *kubernetes_endpoints.listeners(pods, allocations.pods),
        *(one for cluster in lab.clusters for one in health_listeners(cluster, allocations)),
        *(one for each in bare for one in instance_listeners(each.name, each.ports)),
        *host_listeners(lab.on_premises),
        *metadata_listeners(lab, allocations),
        *_control_plane_listeners(lab, allocations),
        *internet_listeners(lab.internet),
    )


def _control_plane_listeners(lab: Lab, allocations: Allocations) -> Iterator[Listener]:
    for cluster in lab.clusters:
        if isinstance(cluster, EksCluster):
            servers = [server for of, _, server in api_servers(lab) if of == cluster]
            yield from control_plane.listeners(cluster, servers, kubelets(cluster, allocations))


def served(lab: Lab, allocations: Allocations) -> tuple[Listener, ...]:
    """Every port that answers in the lab, its programs' too."""
    theirs = (
        Listener(netns=program.netns, port=port, protocol=transport, pod="", node="")
        for program in programs(lab, allocations)
        for transport, port in program.listens
    )
    return (*listeners(lab, allocations), *theirs)


def endpoints(lab: Lab, allocations: Allocations) -> tuple[Endpoint, ...]:
    """Every running pod and every bare instance as a row and a column of the matrix."""
    pods = [pod for cluster in lab.clusters for pod in cluster.pods]
    nodes = {eni.instance: eni.primary for eni in allocations.enis if eni.device_index == 0}
    bare = [instance for vpc in lab.vpcs for instance in vpc.instances]
    return (
        *kubernetes_endpoints.endpoints(pods, allocations.pods, nodes),
        *instance_endpoints(bare, allocations.enis),
        *host_endpoints(lab.on_premises),
    )


def programs(
    lab: Lab, allocations: Allocations, left_out: Collection[str] = ()
) -> tuple[Program, ...]:
    """The real programs of the lab: its DNS servers and its load balancers.

    left_out: the load balancers, by namespace, that DNS does not tell of (`lab.left_out`).
    """
    public = [*_balancer_records(lab, allocations, left_out)]
    outside = [*_public_records(lab, allocations, ""), *public]
    return (
        *(_resolver(lab, vpc, allocations, public) for vpc in lab.vpcs if vpc.enable_dns_support),
        dns.dns_server(INTERNET, (dns.OUTSIDE_ADDRESS,), outside),
        *_balancer_programs(lab, allocations),
    )


def _resolver(
    lab: Lab, vpc: Vpc, allocations: Allocations, public: Iterable[dns.Record]
) -> Program:
    """What a VPC's DNS server knows: its clusters' Services, its instances, the public names."""
    records: list[dns.Record | dns.Srv | dns.Alias] = [
        *_public_records(lab, allocations, vpc.name),
        *public,
    ]
    for cluster in lab.clusters:
        if cluster.vpc == vpc.name:
            given = [one for one in allocations.services if one.cluster == cluster.name]
            there = behind(cluster, allocations)
            records += service_records(cluster.services, given, there)
    private = (dns.private_domain(region(vpc)), vpc.cidrs)
    addresses = resolver_address(vpc), DNS_ADDRESS
    return dns.dns_server(resolver(vpc.name), addresses, records, private)


def _public_records(lab: Lab, allocations: Allocations, inside: str) -> Iterator[dns.Record]:
    """Names that all the world can ask for, but load balancers'.  inside: the VPC that asks."""
    regions = {vpc.name: region(vpc) for vpc in lab.vpcs if vpc.enable_dns_hostnames}
    for vpc, own in regions.items():
        enis = [eni for eni in allocations.enis if eni.vpc == vpc]
        yield from dns.public_records(enis, own, inside=vpc == inside)
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
    addresses = {eni.instance: eni.primary for eni in allocations.enis if eni.device_index == 0}
    given = {(one.cluster, one.service): one for one in allocations.services}
    for cluster, balancer in load_balancers(lab):
        ports = given[cluster.name, balancer.service.qualified]
        yield balancer_program(balancer, addresses, ports)


def resolvers(lab: Lab, allocations: Allocations) -> dict[str, str]:
    """The resolv.conf of every namespace that has a DNS server to ask."""
    vpcs = {vpc.name: vpc for vpc in lab.vpcs}
    texts = {INTERNET: dns.outside_resolv()}
    for eni in allocations.enis:
        vpc = vpcs[eni.vpc]
        texts[eni.instance] = dns.node_resolv(resolver_address(vpc), region(vpc))
    for cluster in lab.clusters:
        vpc = vpcs[cluster.vpc]
        servers = {
            namespace: dns.pod_resolv(resolver_address(vpc), region(vpc), namespace)
            for namespace in {pod.namespace for pod in cluster.pods}
        }
        running = {place.pod for place in allocations.pods if not place.host_network}
        for pod in cluster.pods:
            if pod.netns in running:
                texts[pod.netns] = servers[pod.namespace]
    return texts
