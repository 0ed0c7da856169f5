"""plan(lab, allocations): all facts of a lab, the union of what its domains want.  Pure."""

from collections.abc import Iterable, Iterator

from testbed.allocations import Allocations
from testbed.eks.model import EksCluster
from testbed.eks.node import node_facts
from testbed.eks.pod import pod_facts
from testbed.errors import TestbedError
from testbed.kubernetes import endpoints as kubernetes_endpoints
from testbed.lab import Lab
from testbed.net.endpoints import Endpoint, Listener
from testbed.net.facts import ChainPiece, Fact, Key, State
from testbed.net.iptables import merge
from testbed.net.show import show
from testbed.vpc.endpoints import internet_listeners
from testbed.vpc.eni import nat_netns
from testbed.vpc.fabric import fabric_facts
from testbed.vpc.gateways import internet_gateway_facts, nat_gateway_facts
from testbed.vpc.internet import internet_facts
from testbed.vpc.model import Vpc


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
    for vpc in lab.vpcs:
        yield from _vpc_facts(vpc, allocations)
    vpcs = {vpc.name: vpc for vpc in lab.vpcs}
    for cluster in lab.clusters:
        yield from _cluster_facts(cluster, vpcs[cluster.vpc], allocations)


def _vpc_facts(vpc: Vpc, allocations: Allocations) -> Iterator[Fact]:
    enis = [eni for eni in allocations.enis if eni.vpc == vpc.name]
    subnets = {subnet.name: subnet for subnet in vpc.subnets}
    yield from fabric_facts(vpc, enis)
    if vpc.internet_gateway:
        yield from internet_gateway_facts(vpc, enis)
    gateways = {nat_netns(gateway.name) for gateway in vpc.nat_gateways}
    for eni in enis:
        if eni.instance in gateways:
            yield from nat_gateway_facts(vpc, subnets[eni.subnet], eni)


def _cluster_facts(cluster: EksCluster, vpc: Vpc, allocations: Allocations) -> Iterator[Fact]:
    for node in cluster.nodes:
        enis = [eni for eni in allocations.enis if eni.instance == node.name]
        yield from node_facts(cluster, vpc, node, enis)
    pods = {pod.netns: pod for pod in cluster.pods}
    for placed in allocations.pods:
        if placed.cluster == cluster.name:
            yield from pod_facts(cluster, vpc, pods[placed.pod], placed)


def _without_contradiction(facts: Iterable[Fact]) -> State:
    seen: dict[Key, Fact] = {}
    for fact in facts:
        other = seen.setdefault(fact.key, fact)
        if other != fact:
            raise TestbedError(f"two plans for one thing: {show(fact)} and {show(other)} (a bug)")
    return frozenset(seen.values())


def listeners(lab: Lab, allocations: Allocations) -> tuple[Listener, ...]:
    """Every port the lab serves: its pods' and the internet's."""
    pods = [pod for cluster in lab.clusters for pod in cluster.pods]
    return (
        *kubernetes_endpoints.listeners(pods, allocations.pods),
        *internet_listeners(lab.internet),
    )


def endpoints(lab: Lab, allocations: Allocations) -> tuple[Endpoint, ...]:
    """Every running pod as a row and a column of the matrix."""
    pods = [pod for cluster in lab.clusters for pod in cluster.pods]
    nodes = {eni.instance: eni.primary for eni in allocations.enis if eni.device_index == 0}
    return kubernetes_endpoints.endpoints(pods, allocations.pods, nodes)
