"""The network interfaces that a lab starts with, as its topology wants them.  Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from testbed.eks.fargate.allocate import kept_interfaces
from testbed.eks.model import EksCluster
from testbed.kubernetes.load_balancers.annotations import load_balancer
from testbed.lab import Lab, api_servers, load_balancers
from testbed.networks import transit_gateway
from testbed.vpc.eni import Eni, InterfaceSpecification
from testbed.vpc.fabric.eni import nat_netns
from testbed.vpc.model import Subnet, Vpc


@dataclass(frozen=True)
class Primary:
    """The ENI a node, NAT gateway or load balancer starts with, as the topology wants it.

    secondary: its further addresses; None where ipamD, not the topology, decides.
    """

    interface: InterfaceSpecification
    instance_type: str  # of a node
    source_dest_check: bool
    public: bool
    running: bool = True
    secondary: tuple[IPv4Address, ...] | None = None


def primaries(lab: Lab, before: Iterable[Eni]) -> Iterator[Primary]:
    """Every node's first ENI, and the only one of each instance, gateway and load balancer.

    before: the ENIs that are there, of which pods on Fargate keep theirs.
    """
    yield from _of_nodes(lab)
    for vpc in lab.vpcs:
        yield from _bare(vpc)
        yield from _of_nat_gateways(vpc)
    for _, of, server in api_servers(lab):
        interface = InterfaceSpecification(
            vpc=of.name, subnet=server.subnet.name, instance=server.netns, device_index=0
        )
        yield Primary(interface, "", source_dest_check=True, public=False)
    yield from _of_load_balancers(lab)
    yield from _attachments(lab)
    yield from _on_fargate(lab, before)


def _of_nodes(lab: Lab) -> Iterator[Primary]:
    places = subnets(lab)
    for cluster in lab.clusters:
        for node in cluster.nodes:
            interface = InterfaceSpecification(
                vpc=cluster.vpc,
                subnet=node.subnet,
                instance=node.name,
                device_index=0,
                private_ip=node.private_ip,
            )
            subnet = places.get((cluster.vpc, node.subnet))
            public = bool(subnet and subnet.map_public_ip_on_launch)
            yield Primary(interface, node.instance_type, node.source_dest_check, public)


def _of_nat_gateways(vpc: Vpc) -> Iterator[Primary]:
    for gateway in vpc.nat_gateways:
        interface = InterfaceSpecification(
            vpc=vpc.name,
            subnet=gateway.subnet,
            instance=nat_netns(gateway.name),
            device_index=0,
            interface_type="nat_gateway",
        )
        # it forwards what is not its own, so AWS switches its check off
        yield Primary(interface, "", source_dest_check=False, public=gateway.is_public)


def _of_load_balancers(lab: Lab) -> Iterator[Primary]:
    for cluster, balancer in load_balancers(lab):
        interface = InterfaceSpecification(
            vpc=cluster.vpc,
            subnet=balancer.subnet.name,
            instance=balancer.netns,
            device_index=0,
            private_ip=balancer.private_ip,
            interface_type=balancer.interface_type,
        )
        public = not load_balancer(balancer.service).internal
        # a Network Load Balancer sends targets packets with its clients' addresses
        checked = not balancer.is_network
        yield Primary(interface, "", source_dest_check=checked, public=public)


def _attachments(lab: Lab) -> Iterator[Primary]:
    """An ENI in each subnet of each transit gateway's attachments, which is AWS's own."""
    for gateway in lab.transit_gateways:
        for one in gateway.attachments:
            for subnet in one.subnets:
                specified = InterfaceSpecification(
                    vpc=one.vpc,
                    subnet=subnet,
                    instance=transit_gateway.interface(gateway.name, one, subnet),
                    device_index=0,
                    interface_type="transit_gateway",
                )
                yield Primary(specified, "", source_dest_check=False, public=False)


def _bare(vpc: Vpc) -> Iterator[Primary]:
    """The ENIs of a VPC's instances that are no nodes."""
    public = {subnet.name: subnet.map_public_ip_on_launch for subnet in vpc.subnets}
    for one in vpc.instances:
        interface = InterfaceSpecification(
            vpc=vpc.name,
            subnet=one.subnet,
            instance=one.name,
            device_index=0,
            private_ip=one.private_ip,
        )
        wanted = public.get(one.subnet, False) if one.public_ip is None else one.public_ip
        yield Primary(
            interface,
            one.instance_type,
            one.source_dest_check,
            public=wanted and one.is_running,  # AWS takes an assigned one back at the stop
            running=one.is_running,
            secondary=one.secondary_private_ips,
        )


def _on_fargate(lab: Lab, enis: Iterable[Eni]) -> Iterator[Primary]:
    """The ENIs that pods on Fargate keep; a new one's subnet is for the allocation to choose."""
    vpcs = {vpc.name: vpc for vpc in lab.vpcs}
    for cluster in lab.clusters:
        if isinstance(cluster, EksCluster):
            for interface in kept_interfaces(cluster, vpcs[cluster.vpc], enis):
                yield Primary(interface, "", source_dest_check=True, public=False)


def subnets(lab: Lab) -> dict[tuple[str, str], Subnet]:
    """Every subnet, by its VPC and its name."""
    return {(vpc.name, subnet.name): subnet for vpc in lab.vpcs for subnet in vpc.subnets}
