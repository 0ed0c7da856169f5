"""The security groups that Kubernetes makes for load balancers, and changes for their nodes.

Imitated: kubernetes v1.14, pkg/cloudprovider/providers/aws/aws.go (EnsureLoadBalancer,
updateInstanceSecurityGroupsForLoadBalancer, findSecurityGroupForInstance).
"""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network

from testbed.kubernetes.load_balancers.annotations import load_balancer
from testbed.kubernetes.load_balancers.clients import client_ranges
from testbed.kubernetes.model import Service
from testbed.kubernetes.placement import ServiceAddress
from testbed.services.load_balancers import Balancer
from testbed.services.load_balancers.naming import balancer_name
from testbed.services.load_balancers.targets import TargetGroup
from testbed.vpc.security.model import ANYWHERE, GroupRule, Range, SecurityGroup

# "Allow ICMP fragmentation packets, important for MTU discovery": destination unreachable,
# fragmentation needed
FRAGMENTATION_NEEDED = GroupRule(protocol="icmp", icmp_type=3, icmp_code=4, cidr=ANYWHERE)


def clients(service: Service) -> tuple[IPv4Network, ...]:
    """Who may call a Service's load balancer."""
    return client_ranges(service) or (ANYWHERE,)


def balancer_group(cluster: str, service: Service) -> SecurityGroup:
    """`k8s-elb-a0c1…`: everyone may use the Service's ports, or its source ranges."""
    ports = tuple(
        GroupRule(protocol="tcp", ports=Range(port.port, port.port), cidr=cidr)
        for port in service.ports
        for cidr in clients(service)
    )
    name = f"k8s-elb-{balancer_name(cluster, service)}"
    return SecurityGroup(name, ingress=(*ports, FRAGMENTATION_NEEDED))


def node_rule(cluster: str, service: Service) -> GroupRule:
    """What Kubernetes adds to a group of each node: everything from the load balancer."""
    return GroupRule(group=balancer_group(cluster, service).name)


def target_rules(
    balancer: Balancer, groups: Iterable[TargetGroup], given: ServiceAddress
) -> Iterator[GroupRule]:
    """What a group of each target gets of a Network Load Balancer, which has no group itself.

    The clients' ranges on the targets' ports; the load balancer's subnet for its health checks,
    and for flows in which targets do not see the client (updateInstanceSecurityGroupsForNLB).
    """
    wanted, subnet = load_balancer(balancer.service), balancer.subnet.cidr
    asked = given.health_check_node_port if wanted.target_type == "instance" else 0
    for group in groups:
        preserved = wanted.preserves(group.protocol.upper())
        for port in dict.fromkeys(target.port for target in group.targets):
            for cidr in clients(balancer.service) if preserved else (subnet,):
                yield GroupRule(protocol=group.protocol, ports=Range(port, port), cidr=cidr)
            checked = wanted.checked_port(asked, port)
            yield GroupRule(protocol="tcp", ports=Range(checked, checked), cidr=subnet)
    yield FRAGMENTATION_NEEDED


def node_group(groups: Sequence[str], tagged: str) -> str:
    """The group of a node that gets the rule; empty where Kubernetes cannot tell which.

    tagged: the group with the cluster's tag.  Of several groups none of which is tagged it says
    "Multiple untagged security groups found for instance".
    """
    if tagged in groups:
        return tagged
    return groups[0] if len(groups) == 1 else ""
