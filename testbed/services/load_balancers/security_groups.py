"""The security groups that Kubernetes makes for load balancers, and changes for their nodes.

Imitated: kubernetes v1.14, pkg/cloudprovider/providers/aws/aws.go (EnsureLoadBalancer,
updateInstanceSecurityGroupsForLoadBalancer, findSecurityGroupForInstance).
"""

from collections.abc import Sequence

from testbed.kubernetes.model import Service
from testbed.services.load_balancers.naming import balancer_name
from testbed.vpc.security.model import ANYWHERE, GroupRule, Range, SecurityGroup

# "Allow ICMP fragmentation packets, important for MTU discovery": destination unreachable,
# fragmentation needed
FRAGMENTATION_NEEDED = GroupRule(protocol="icmp", icmp_type=3, icmp_code=4, cidr=ANYWHERE)


def balancer_group(cluster: str, service: Service) -> SecurityGroup:
    """`k8s-elb-a0c1…`: everyone may use the Service's ports."""
    ports = tuple(
        GroupRule(protocol="tcp", ports=Range(port.port, port.port), cidr=ANYWHERE)
        for port in service.ports
    )
    name = f"k8s-elb-{balancer_name(cluster, service)}"
    return SecurityGroup(name, ingress=(*ports, FRAGMENTATION_NEEDED))


def node_rule(cluster: str, service: Service) -> GroupRule:
    """What Kubernetes adds to a group of each node: everything from the load balancer."""
    return GroupRule(group=balancer_group(cluster, service).name)


def node_group(groups: Sequence[str], tagged: str) -> str:
    """The group of a node that gets the rule; empty where Kubernetes cannot tell which.

    tagged: the group with the cluster's tag.  Of several groups none of which is tagged it says
    "Multiple untagged security groups found for instance".
    """
    if tagged in groups:
        return tagged
    return groups[0] if len(groups) == 1 else ""
