"""What load balancers have in the kernel, and which targets they send to."""

from collections.abc import Iterator

from testbed.allocations import Allocations
from testbed.kubernetes.model import Service
from testbed.kubernetes.placement import ServiceAddress
from testbed.lab import Cluster, Lab, load_balancers
from testbed.net.facts import Fact
from testbed.plan.proxies import behind
from testbed.services.load_balancers import Balancer
from testbed.services.load_balancers.classic import balancer_facts
from testbed.services.load_balancers.health import Health
from testbed.services.load_balancers.network import network_facts
from testbed.services.load_balancers.targets import TargetGroup, target_groups


def load_balancer_facts(lab: Lab, allocations: Allocations, health: Health) -> Iterator[Fact]:
    """The namespaces of all load balancers; of no others does health change anything."""
    enis = {eni.instance: eni for eni in allocations.enis if eni.device_index == 0}
    grouped = {vpc.name for vpc in lab.vpcs if vpc.security_groups}
    for cluster, balancer in load_balancers(lab):
        eni, guarded = enis[balancer.netns], cluster.vpc in grouped
        if balancer.is_network:
            groups = balancer_groups(lab, cluster, balancer, allocations)
            yield from network_facts(balancer, eni, groups, health.unhealthy, guarded=guarded)
        else:
            yield from balancer_facts(balancer, eni, guarded=guarded)


def balancer_groups(
    lab: Lab, cluster: Cluster, balancer: Balancer, allocations: Allocations
) -> tuple[TargetGroup, ...]:
    """The target groups of a Network Load Balancer in its zone."""
    nodes = {eni.instance: eni.primary for eni in allocations.enis if eni.device_index == 0}
    vpc = next(vpc for vpc in lab.vpcs if vpc.name == cluster.vpc)
    given = service_address(cluster, balancer.service, allocations)
    return target_groups(balancer, vpc, nodes, given, behind(cluster, allocations))


def service_address(
    cluster: Cluster, service: Service, allocations: Allocations
) -> ServiceAddress:
    """What a cluster's Service was given."""
    return next(
        one
        for one in allocations.services
        if (one.cluster, one.service) == (cluster.name, service.qualified)
    )
