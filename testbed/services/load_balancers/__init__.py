"""The load balancers of Services: one in each zone, with a network interface in a subnet of it.

What the cloud provider of Kubernetes v1.14 makes (pkg/cloudprovider/providers/aws: aws.go,
aws_loadbalancer.go), each zone's targets only for that zone unless cross-zone balancing is on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from testbed.kubernetes.kube_proxy import Era
from testbed.kubernetes.labels import node_labels
from testbed.kubernetes.load_balancers.annotations import CONTROLLER_CLASS, load_balancer
from testbed.kubernetes.load_balancers.model import LoadBalancer
from testbed.kubernetes.model import Node, Service
from testbed.services.load_balancers.node_selection import takes
from testbed.vpc.eni import InterfaceType
from testbed.vpc.fabric.metadata import identifier
from testbed.vpc.model import Subnet, Vpc
from testbed.vpc.naming import network_load_balancer


@dataclass(frozen=True)
class Balancer:
    """A Service's load balancer in one zone: where it is, and the nodes it may take as targets.

    owner: the cluster, where one before it has a Service of this name too.  era: of the cluster's
    Kubernetes, which made it.
    """

    service: Service
    zone: str
    subnet: Subnet
    nodes: tuple[str, ...]
    owner: str = ""
    era: Era = "current"

    @property
    def is_network(self) -> bool:
        """Whether it is a Network Load Balancer's part in the zone, else a Classic one's."""
        return load_balancer(self.service).is_network

    @property
    def netns(self) -> str:
        """Its namespace, which is also its ENI's `instance`: `elb-web-us-west-2a`."""
        name = f"{self.service.qualified}-{self.zone}"
        name = f"{self.owner}-{name}" if self.owner else name
        return network_load_balancer(name) if self.is_network else f"elb-{name}"

    @property
    def private_ip(self) -> IPv4Address | None:
        """The address that its Service wants for it; None lets AWS choose."""
        wanted = load_balancer(self.service).private_addresses
        return next((address for address in wanted if address in self.subnet.cidr), None)

    @property
    def interface_type(self) -> InterfaceType:
        """What EC2 says of its network interface."""
        return "network_load_balancer" if self.is_network else "load_balancer"


def balancers(
    vpc: Vpc, nodes: Sequence[Node], services: Iterable[Service], era: Era = "current"
) -> tuple[Balancer, ...]:
    """One for each Service of type LoadBalancer and each zone that has targets and a subnet.

    The subnet of one that faces the internet is the zone's first public one; an internal one takes
    the first private one if there is any, as the tag kubernetes.io/role/internal-elb has it in
    practice; annotations may name them.  Where pods are targets any zone may have some.  All is
    of one cluster.  era: of its Kubernetes.
    """
    found = []
    for service in services:
        if is_made(service):
            wanted = load_balancer(service)
            targets = _targets(vpc, nodes, wanted, era)
            every = tuple(node for zone in targets.values() for node in zone)
            named = chosen_subnets(vpc, wanted.subnets)
            places = {one.availability_zone: one for one in named}
            places = places or _subnets(vpc, internal=wanted.internal)
            own = {zone: tuple(targets.get(zone, ())) for zone in places}
            found += [
                Balancer(
                    service, zone, places[zone], every if wanted.cross_zone else near, era=era
                )
                for zone, near in own.items()
                if near or named or wanted.target_type == "ip"
            ]
    return tuple(found)


def is_made(service: Service) -> bool:
    """Whether somebody here makes its load balancer.

    Kubernetes' cloud provider leaves Services with a class alone; AWS' controller knows its own.
    """
    known = service.load_balancer_class in ("", CONTROLLER_CLASS)
    return service.type == "LoadBalancer" and known


def _targets(
    vpc: Vpc, nodes: Iterable[Node], wanted: LoadBalancer, era: Era
) -> dict[str, list[str]]:
    """By zone the nodes that a load balancer may send to."""
    subnets = {subnet.name: subnet for subnet in vpc.subnets}
    found: dict[str, list[str]] = {}
    for node in nodes:
        if node.subnet in subnets:
            subnet = subnets[node.subnet]
            if takes(wanted, era, node, node_labels(node, subnet)):
                found.setdefault(subnet.availability_zone, []).append(node.name)
    return found


def chosen_subnets(vpc: Vpc, named: Iterable[str]) -> tuple[Subnet, ...]:
    """Those of the subnets that are named, by name or by id."""
    known = {subnet.name: subnet for subnet in vpc.subnets}
    known |= {identifier("subnet", vpc.name, one.name): one for one in vpc.subnets}
    return tuple(known[name] for name in named if name in known)


def _subnets(vpc: Vpc, *, internal: bool) -> dict[str, Subnet]:
    """By zone the subnet that a load balancer is put into."""
    public = [subnet for subnet in vpc.subnets if vpc.is_public(subnet)]
    private = [subnet for subnet in vpc.subnets if subnet not in public]
    chosen = [*private, *public] if internal else public
    zones = dict.fromkeys(subnet.availability_zone for subnet in vpc.subnets)
    first = {subnet.availability_zone: subnet for subnet in reversed(chosen)}
    return {zone: first[zone] for zone in zones if zone in first}
