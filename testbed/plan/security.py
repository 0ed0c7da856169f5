"""Which security groups a lab's network interfaces have: the topology's, and those made for it.

EKS, kops and Kubernetes make groups of their own in a VPC.  A VPC that describes none has none.
"""

from collections.abc import Iterator
from dataclasses import replace

from testbed.allocations import Allocations
from testbed.eks.eni_config import custom_groups
from testbed.eks.fargate.profiles import on_fargate
from testbed.eks.model import EksCluster
from testbed.kubernetes.load_balancers.annotations import load_balancer
from testbed.lab import Cluster, Lab, api_servers, load_balancers
from testbed.plan.balancers import Given
from testbed.services.load_balancers import Balancer
from testbed.services.load_balancers.security_groups import (
    balancer_group,
    node_group,
    node_rule,
    target_rules,
)
from testbed.vpc.model import Vpc
from testbed.vpc.security.groups import Memberships
from testbed.vpc.security.model import DEFAULT, EVERYTHING, GroupRule, SecurityGroup


def own_group(cluster: Cluster) -> SecurityGroup:
    """The group of a cluster's nodes where they name none: in from itself, out to everywhere.

    EKS User Guide, "View Amazon EKS security group requirements for clusters"; kops:
    upup/models, nodes to nodes.
    """
    name = cluster.security_group
    return SecurityGroup(name, ingress=(GroupRule(group=name),), egress=EVERYTHING)


def memberships(lab: Lab) -> Memberships:
    """The groups of each instance's network interfaces; NAT gateways have none."""
    vpcs = {vpc.name: vpc for vpc in lab.vpcs}
    groups = {
        node.name: node.security_groups or (cluster.security_group,)
        for cluster in lab.clusters
        for node in cluster.nodes
    }
    for cluster in lab.clusters:
        if isinstance(cluster, EksCluster):
            groups |= custom_groups(cluster, vpcs[cluster.vpc])
            groups |= dict.fromkeys(on_fargate(cluster), (cluster.security_group,))
    for vpc in lab.vpcs:
        groups |= {one.name: one.security_groups or (DEFAULT,) for one in vpc.instances}
    for owner, _, server in api_servers(lab):
        plane = owner.control_plane
        besides = plane.security_groups if plane else ()
        groups[server.netns] = (owner.security_group, *besides)
    for cluster, balancer in load_balancers(lab):
        if not balancer.is_network:
            groups[balancer.netns] = (balancer_group(cluster.name, balancer.service).name,)
    return groups


def with_security_groups(lab: Lab, vpc: Vpc, allocations: Allocations) -> Vpc:
    """The VPC with the groups that it has besides the topology's, and with rules made in them."""
    if not vpc.security_groups:
        return vpc
    groups = {group.name: group for group in _made(lab, vpc)}
    groups |= {group.name: group for group in vpc.security_groups}
    for name, rule in _rules_for_balancers(lab, vpc, allocations):
        group = groups[name]
        if rule not in group.allows_in:
            groups[name] = replace(group, ingress=(*group.allows_in, rule))
    return replace(vpc, security_groups=tuple(groups.values()))


def _made(lab: Lab, vpc: Vpc) -> Iterator[SecurityGroup]:
    yield SecurityGroup(DEFAULT)
    yield from (own_group(cluster) for cluster in lab.clusters if cluster.vpc == vpc.name)
    for cluster, balancer in load_balancers(lab):
        if cluster.vpc == vpc.name and not balancer.is_network:
            yield balancer_group(cluster.name, balancer.service)


def _rules_for_balancers(
    lab: Lab, vpc: Vpc, allocations: Allocations
) -> Iterator[tuple[str, GroupRule]]:
    """The rules that let load balancers' traffic reach its targets, in one group of each node."""
    given = Given(lab, allocations)
    for cluster, balancer in load_balancers(lab):
        if cluster.vpc != vpc.name:
            continue
        rules = [node_rule(cluster.name, balancer.service)]
        if balancer.is_network:
            groups, address = given.groups(cluster, balancer), given.to(cluster, balancer.service)
            rules = [*target_rules(balancer, groups, address)]
        for name in _target_groups_of(cluster, balancer):
            yield from ((name, rule) for rule in rules)


def _target_groups_of(cluster: Cluster, balancer: Balancer) -> Iterator[str]:
    """The security group of each node that gets the rules; pods have their nodes'."""
    pods = load_balancer(balancer.service).target_type == "ip"
    own = cluster.security_group
    for node in cluster.nodes:
        group = node_group(node.security_groups or (own,), own)
        if group and (pods or node.name in balancer.nodes):
            yield group
    if pods:
        yield own
