"""What load balancers have in the kernel, and which targets they send to."""

from collections.abc import Iterator

from testbed.allocations import Allocations
from testbed.kubernetes.model import Service
from testbed.kubernetes.placement import ServiceAddress
from testbed.lab import Cluster, Lab, load_balancers
from testbed.net.facts import Fact
from testbed.plan.proxies import behind
from testbed.services.endpoints import Behind
from testbed.services.load_balancers import Balancer
from testbed.services.load_balancers.classic import balancer_facts
from testbed.services.load_balancers.ended_flows import Command, ended_flows
from testbed.services.load_balancers.health import Health
from testbed.services.load_balancers.network import network_facts
from testbed.services.load_balancers.targets import TargetGroup, target_groups


class Given:
    """What a lab gave to its load balancers (state: pods by cluster, indexed when first asked)."""

    def __init__(self, lab: Lab, allocations: Allocations) -> None:
        self._allocations = allocations
        self._vpcs = {vpc.name: vpc for vpc in lab.vpcs}
        self._services = {(one.cluster, one.service): one for one in allocations.services}
        self._behind: dict[str, Behind] = {}
        self.enis = {eni.instance: eni for eni in allocations.enis if eni.device_index == 0}
        self.addresses = {name: eni.primary for name, eni in self.enis.items()}

    def to(self, cluster: Cluster, service: Service) -> ServiceAddress:
        """A Service's addresses and ports."""
        return self._services[cluster.name, service.qualified]

    def groups(self, cluster: Cluster, balancer: Balancer) -> tuple[TargetGroup, ...]:
        """The target groups of a Network Load Balancer in its zone."""
        if cluster.name not in self._behind:
            self._behind[cluster.name] = behind(cluster, self._allocations)
        return target_groups(
            balancer,
            self._vpcs[cluster.vpc],
            self.addresses,
            self.to(cluster, balancer.service),
            self._behind[cluster.name],
        )


def ended_connections(
    lab: Lab, allocations: Allocations, before: Health, after: Health
) -> dict[str, tuple[Command, ...]]:
    """The conntrack commands of each Network Load Balancer, by namespace, for another health."""
    given = Given(lab, allocations)
    found = {
        balancer.netns: tuple(
            ended_flows(balancer.netns, given.groups(cluster, balancer), before, after)
        )
        for cluster, balancer in load_balancers(lab)
        if balancer.is_network
    }
    return {ns: commands for ns, commands in found.items() if commands}


def load_balancer_facts(lab: Lab, allocations: Allocations, health: Health) -> Iterator[Fact]:
    """The namespaces of all load balancers; of no others does health change anything."""
    given = Given(lab, allocations)
    grouped = {vpc.name for vpc in lab.vpcs if vpc.security_groups}
    for cluster, balancer in load_balancers(lab):
        eni, guarded = given.enis[balancer.netns], cluster.vpc in grouped
        if balancer.is_network:
            groups = given.groups(cluster, balancer)
            yield from network_facts(balancer, eni, groups, health.unhealthy, guarded=guarded)
        else:
            yield from balancer_facts(balancer, eni, guarded=guarded)
