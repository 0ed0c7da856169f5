"""plan(lab, allocations): all facts of a lab, the union of what its domains want.  Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from testbed.allocations import Allocations
from testbed.eks import control_plane
from testbed.eks.fargate import micro_vm
from testbed.eks.ipamd.datastore.memory import routed
from testbed.eks.model import EksCluster
from testbed.eks.wiring import node as eks_node
from testbed.eks.wiring import pod as eks_pod
from testbed.errors import TestbedError
from testbed.kops.model import KopsCluster
from testbed.kops.routes import with_pod_routes
from testbed.kops.wiring.cluster import cluster_facts
from testbed.kubernetes.placement import Placed
from testbed.kubernetes.strays import stray_facts
from testbed.lab import Cluster, Lab, api_servers, clusters_in, service_cidr
from testbed.net.facts import ANYWHERE, ChainPiece, Fact, Key, State
from testbed.net.netfilter.iptables import merge
from testbed.net.show import show
from testbed.networks.peering import peering_facts
from testbed.networks.private_gateway import private_gateway_facts
from testbed.networks.routes import ends, surroundings, with_propagated_routes
from testbed.networks.site import site_facts
from testbed.networks.transit_gateway import sources, transit_gateway_facts
from testbed.plan.balancers import load_balancer_facts
from testbed.plan.listening import endpoints, leaving, listeners, served
from testbed.plan.proxies import node_zones, proxy_facts
from testbed.plan.security import memberships, with_security_groups
from testbed.plan.servers import programs, resolvers
from testbed.services.load_balancers.health import ALL_WELL, Health
from testbed.vpc.fabric.eni import nat_netns
from testbed.vpc.fabric.instance import bare_facts
from testbed.vpc.fabric.internet import internet_facts
from testbed.vpc.fabric.internet_gateway import internet_gateway_facts
from testbed.vpc.fabric.nat_gateway import nat_gateway_facts
from testbed.vpc.fabric.resolver import resolver_facts
from testbed.vpc.fabric.routing import stopped_facts
from testbed.vpc.fabric.subnets import fabric_facts
from testbed.vpc.model import Vpc
from testbed.vpc.prefix_list_routes import with_prefix_list_routes

__all__ = [
    "check",
    "endpoints",
    "leaving",
    "listeners",
    "plan",
    "programs",
    "resolvers",
    "served",
    "unchecked",
    "vpcs",
]


def plan(lab: Lab, allocations: Allocations, health: Health = ALL_WELL) -> State:
    """The kernel this lab wants.

    health: of load balancers' targets.
    Raises TestbedError when two facts contradict each other (a bug of the planners).
    """
    state = unchecked(lab, allocations, health)
    check(state)
    return state


def unchecked(lab: Lab, allocations: Allocations, health: Health = ALL_WELL) -> State:
    """The same, for who calls `check` later.  Chains that several write are one fact each."""
    wanted = [*_wanted(lab, allocations), *load_balancer_facts(lab, allocations, health)]
    pieces = [fact for fact in wanted if isinstance(fact, ChainPiece)]
    facts = [fact for fact in wanted if not isinstance(fact, ChainPiece)]
    return frozenset([*facts, *merge(pieces)])


def _wanted(lab: Lab, allocations: Allocations) -> Iterator[Fact]:
    yield from internet_facts(lab.internet, allocations.enis)
    built = vpcs(lab, allocations)
    for vpc in built.values():
        yield from _vpc_facts(vpc, lab, allocations)
    yield from peering_facts(lab.peerings, built, allocations.enis)
    for transit in lab.transit_gateways:
        yield from transit_gateway_facts(transit, built, lab.on_premises)
    for site in lab.on_premises:
        yield from site_facts(site, ends(built, lab.transit_gateways))
    zones = node_zones(lab.vpcs, allocations)
    for cluster in lab.clusters:
        yield from _cluster_facts(cluster, built[cluster.vpc], allocations)
        yield from proxy_facts(cluster, allocations, zones)
    enis = {eni.instance: eni for eni in allocations.enis if eni.device_index == 0}
    for _, vpc, server in api_servers(lab):
        yield from control_plane.server_facts(server, vpc, enis[server.netns])


def _vpc_facts(vpc: Vpc, lab: Lab, allocations: Allocations) -> Iterator[Fact]:
    own = [eni for eni in allocations.enis if eni.vpc == vpc.name]
    enis = [eni for eni in own if eni.is_link]
    for eni in own:
        if not eni.running:
            yield from stopped_facts(eni)
    subnets = {subnet.name: subnet for subnet in vpc.subnets}
    around = surroundings(vpc, lab.peerings, lab.transit_gateways, _by_name(lab), allocations.enis)
    yield from fabric_facts(vpc, enis, around, memberships(lab))
    yield from resolver_facts(vpc, clusters_in(lab, vpc.name))
    if vpc.internet_gateway:
        yield from internet_gateway_facts(vpc, enis)
    if vpc.virtual_private_gateway:
        yield from private_gateway_facts(vpc, lab.on_premises, enis)
    gateways = {nat_netns(gateway.name): gateway for gateway in vpc.nat_gateways}
    others = sources(vpc.name, lab.transit_gateways, _by_name(lab), lab.on_premises)
    for eni in enis:
        if eni.instance in gateways:
            served = {ANYWHERE} if gateways[eni.instance].serves_every_source else others
            yield from nat_gateway_facts(vpc, subnets[eni.subnet], eni, served)
    primary = {eni.instance: eni for eni in enis if eni.device_index == 0}
    for instance in vpc.running:
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
    seen = {one.node: replace(vpc, cidrs=one.cidrs) for one in allocations.memories if one.cidrs}
    for node in cluster.nodes:
        enis = allocations.attached.get(node.name, ())
        yield from eks_node.node_facts(cluster, seen.get(node.name, vpc), node, enis)
    yield from stray_facts(cluster.name, vpc, service_cidr(cluster, vpc))
    pods = {pod.netns: pod for pod in cluster.pods}
    own = [placed for placed in allocations.pods if placed.cluster == cluster.name]
    reached = routed(allocations.memories, own)
    for placed in own:
        if not placed.on_fargate:
            yield from eks_pod.pod_facts(
                cluster,
                seen.get(placed.node, vpc),
                pods[placed.pod],
                placed,
                routed=placed.pod in reached or placed.host_network,
            )
    yield from eks_pod.host_port_facts(cluster, own)
    subnets = {subnet.name: subnet for subnet in vpc.subnets}
    alone = {placed.pod for placed in own if placed.on_fargate}
    for eni in allocations.enis:
        if eni.instance in alone:
            yield from micro_vm.pod_facts(eni, subnets[eni.subnet])


def check(state: State) -> None:
    """Raise TestbedError where two facts are about one thing."""
    for kind, own in _by_kind(state).items():
        if len(set(map(kind.identify, own))) < len(own):
            one, other = _contradicting(own)
            raise TestbedError(f"two plans for one thing: {show(one)} and {show(other)} (a bug)")


def _by_kind(facts: Iterable[Fact]) -> dict[type[Fact], list[Fact]]:
    gathered: dict[type[Fact], list[Fact]] = {}
    for fact in facts:
        gathered.setdefault(type(fact), []).append(fact)
    return gathered


def _contradicting(facts: Iterable[Fact]) -> tuple[Fact, Fact]:
    """Two of one kind that are about one thing."""
    seen: dict[Key, Fact] = {}
    return next(
        (fact, other) for fact in facts if (other := seen.setdefault(fact.key, fact)) is not fact
    )


def vpcs(lab: Lab, allocations: Allocations) -> dict[str, Vpc]:
    """The VPCs by name, with what others made in them: routes and security groups."""
    guarded = (with_security_groups(lab, vpc, allocations) for vpc in lab.vpcs)
    routed = map(with_prefix_list_routes, guarded)
    built = {vpc.name: with_propagated_routes(vpc, lab.on_premises) for vpc in routed}
    for cluster in lab.clusters:
        if isinstance(cluster, KopsCluster):
            built[cluster.vpc] = with_pod_routes(cluster, built[cluster.vpc], allocations.ranges)
    return built
