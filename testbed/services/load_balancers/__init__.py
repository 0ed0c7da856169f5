"""The load balancers of Services: one in each zone, with a network interface in a subnet of it.

What the cloud provider of Kubernetes v1.14 makes (pkg/cloudprovider/providers/aws: aws.go,
aws_loadbalancer.go), each zone's nodes only for that zone unless cross-zone balancing is on.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from testbed.kubernetes.load_balancer import load_balancer
from testbed.kubernetes.model import Node, Service
from testbed.vpc.model import Subnet, Vpc


@dataclass(frozen=True)
class Balancer:
    """A Service's load balancer in one zone: where it is, and the nodes that are its targets."""

    service: Service
    zone: str
    subnet: Subnet
    nodes: tuple[str, ...]

    @property
    def netns(self) -> str:
        """Its namespace, which is also its ENI's `instance`: `elb-web-us-west-2a`."""
        return f"elb-{self.service.qualified}-{self.zone}"


def balancers(
    vpc: Vpc, nodes: Iterable[Node], services: Iterable[Service]
) -> tuple[Balancer, ...]:
    """One for each Service of type LoadBalancer and each zone that has nodes and a subnet for it.

    Facing the internet that is the zone's first public subnet; an internal one takes the first
    private one where there is any, as the tag kubernetes.io/role/internal-elb has it in practice.
    The nodes and Services are of one cluster.
    """
    zones = {subnet.name: subnet.availability_zone for subnet in vpc.subnets}
    targets: dict[str, list[str]] = {}
    for node in nodes:
        if node.subnet in zones:
            targets.setdefault(zones[node.subnet], []).append(node.name)
    every = tuple(node for zone in targets.values() for node in zone)
    found = []
    for service in services:
        if service.type == "LoadBalancer":
            wanted = load_balancer(service.annotations)
            places = _subnets(vpc, internal=wanted.internal)
            found += [
                Balancer(service, zone, places[zone], every if wanted.cross_zone else tuple(own))
                for zone, own in targets.items()
                if zone in places
            ]
    return tuple(found)


def _subnets(vpc: Vpc, *, internal: bool) -> dict[str, Subnet]:
    """By zone the subnet that a load balancer is put into."""
    public = [subnet for subnet in vpc.subnets if vpc.is_public(subnet)]
    private = [subnet for subnet in vpc.subnets if subnet not in public]
    chosen = [*private, *public] if internal else public
    return {subnet.availability_zone: subnet for subnet in reversed(chosen)}
