"""Who was given which address: the state of a lab, kept from one `up` to the next."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from pydantic import TypeAdapter, ValidationError

from testbed.eks import allocate as eks
from testbed.eks.fargate.allocate import kept_interfaces
from testbed.eks.ipamd.memory import Memory, remembered
from testbed.eks.model import EksCluster
from testbed.errors import DescriptionError, TestbedError, Where
from testbed.kops import allocate as kops
from testbed.kops.model import KopsCluster
from testbed.kubernetes.load_balancer import load_balancer
from testbed.kubernetes.placement import NodeRange, Pending, Placed, PodAddress, ServiceAddress
from testbed.lab import Cluster, Lab, api_servers, load_balancers
from testbed.networks import transit_gateway
from testbed.services.allocate import allocate_services
from testbed.vpc.addresses import reserved
from testbed.vpc.ec2 import Ec2, Eni, InterfaceSpecification
from testbed.vpc.eni import nat_netns
from testbed.vpc.instance_types import limits
from testbed.vpc.model import Subnet, Vpc


@dataclass(frozen=True)
class Allocations:
    """ENIs with their addresses, pods with theirs, and pods that wait, with the reason.

    ranges: of the nodes whose pods have no ENI's addresses.  memories: of ipamDs that know
    something else than this.
    """

    enis: tuple[Eni, ...] = ()
    pods: tuple[PodAddress, ...] = ()
    pending: tuple[Pending, ...] = ()
    ranges: tuple[NodeRange, ...] = ()
    services: tuple[ServiceAddress, ...] = ()
    memories: tuple[Memory, ...] = ()


@dataclass(frozen=True)
class _Primary:
    """The ENI a node, NAT gateway or load balancer starts with, as the topology wants it."""

    interface: InterfaceSpecification
    instance_type: str  # of a node
    source_dest_check: bool
    public: bool


def allocate(lab: Lab, before: Allocations | None = None) -> Allocations:
    """Addresses for everything in the lab; what `before` gave and still fits is kept.

    Raises AwsError: an address was asked for that cannot be had; DescriptionError: a cluster's
    manifests are not read, or no address is left for a Service.
    """
    before = before or Allocations()
    wanted = (*_primaries(lab), *_on_fargate(lab, before.enis))
    primaries = {one.interface.instance: one for one in wanted}
    types = {name: one.instance_type for name, one in primaries.items() if one.instance_type}
    kept = _kept(lab, primaries, before.enis)
    ec2 = Ec2(lab.vpcs, lab.internet, kept, instance_types=types)
    _launch(ec2, primaries.values())
    vpcs = {vpc.name: vpc for vpc in lab.vpcs}
    placed = [_placed(cluster, vpcs[cluster.vpc], ec2, before) for cluster in lab.clusters]
    given = [_given(cluster, before) for cluster in lab.clusters]
    pods = tuple(pod for one in placed for pod in one.pods)
    return Allocations(
        enis=ec2.enis(),
        pods=pods,
        pending=tuple(pod for one in placed for pod in one.pending),
        ranges=tuple(own for one in placed for own in one.ranges),
        services=tuple(service for one in given for service in one),
        memories=tuple(_memories(lab, before, pods, ec2.enis())),
    )


def restarted(lab: Lab, allocations: Allocations, memories: tuple[Memory, ...]) -> Allocations:
    """The same where ipamDs have started again and know this."""
    before = replace(allocations, memories=memories)
    known = _memories(lab, before, allocations.pods, allocations.enis)
    return replace(allocations, memories=tuple(known))


def rolled_out(before: Lab | None, lab: Lab, allocations: Allocations) -> Allocations:
    """The same, of a lab that another one follows: other settings start aws-node again.

    Where that reads the VPC's ranges at its start, the next allocation does.
    """
    settings = {one.name: _settings(one) for one in before.clusters} if before else {}
    nodes = {
        node.name
        for cluster in lab.clusters
        if settings.get(cluster.name) != _settings(cluster)
        for node in cluster.nodes
    }
    memories = (
        replace(one, cidrs=()) if one.node in nodes else one for one in allocations.memories
    )
    return replace(allocations, memories=tuple(memories))


def _settings(cluster: Cluster) -> object:
    return (cluster.profile, cluster.env) if isinstance(cluster, EksCluster) else None


def _memories(
    lab: Lab, before: Allocations, pods: tuple[PodAddress, ...], enis: tuple[Eni, ...]
) -> Iterator[Memory]:
    known = {memory.node: memory for memory in before.memories}
    ranges = {vpc.name: vpc.cidrs for vpc in lab.vpcs}
    for cluster in lab.clusters:
        if isinstance(cluster, EksCluster):
            yield from remembered(cluster, ranges[cluster.vpc], known, pods, enis)


def _placed(cluster: Cluster, vpc: Vpc, ec2: Ec2, before: Allocations) -> Placed:
    match cluster:
        case EksCluster():
            return Placed(
                *eks.allocate_pods(cluster, vpc, ec2, before.pods, before.pending, before.memories)
            )
        case KopsCluster():
            earlier = Placed(before.pods, before.pending, before.ranges)
            return kops.allocate_pods(cluster, vpc, ec2, earlier)


def _given(cluster: Cluster, before: Allocations) -> tuple[ServiceAddress, ...]:
    if cluster.manifests:
        message = "its manifests are not read: testbed.load.with_manifests does that"
        raise DescriptionError(message, Where(key=f"clusters.{cluster.name}"))
    return allocate_services(cluster.name, cluster.services, cluster.service_cidr, before.services)


def to_json(allocations: Allocations) -> str:
    """Allocations as text, for the daemon to store."""
    return _adapter().dump_json(allocations).decode()


def from_json(text: str | bytes) -> Allocations:
    """Allocations from what `to_json` wrote."""
    try:
        return _adapter().validate_json(text)
    except ValidationError as error:
        raise TestbedError(f"these are not stored allocations: {error}") from error


@cache
def _adapter() -> TypeAdapter[Allocations]:
    return TypeAdapter(Allocations)


def _primaries(lab: Lab) -> Iterator[_Primary]:
    """Every node's first ENI, and the only one of each instance, NAT gateway, load balancer."""
    subnets = _subnets(lab)
    for cluster in lab.clusters:
        for node in cluster.nodes:
            interface = InterfaceSpecification(
                vpc=cluster.vpc,
                subnet=node.subnet,
                instance=node.name,
                device_index=0,
                private_ip=node.private_ip,
            )
            subnet = subnets.get((cluster.vpc, node.subnet))
            public = bool(subnet and subnet.map_public_ip_on_launch)
            yield _Primary(interface, node.instance_type, node.source_dest_check, public)
    for vpc in lab.vpcs:
        yield from _bare(vpc)
        for gateway in vpc.nat_gateways:
            interface = InterfaceSpecification(
                vpc=vpc.name,
                subnet=gateway.subnet,
                instance=nat_netns(gateway.name),
                device_index=0,
                interface_type="nat_gateway",
            )
            # it forwards what is not its own, so AWS switches its check off
            yield _Primary(interface, "", source_dest_check=False, public=True)
    for _, of, server in api_servers(lab):
        interface = InterfaceSpecification(
            vpc=of.name, subnet=server.subnet.name, instance=server.netns, device_index=0
        )
        yield _Primary(interface, "", source_dest_check=True, public=False)
    for cluster, balancer in load_balancers(lab):
        interface = InterfaceSpecification(
            vpc=cluster.vpc,
            subnet=balancer.subnet.name,
            instance=balancer.netns,
            device_index=0,
            private_ip=balancer.private_ip,
            interface_type=balancer.interface_type,
        )
        public = not load_balancer(balancer.service.annotations).internal
        # a Network Load Balancer sends targets packets with its clients' addresses
        checked = not balancer.is_network
        yield _Primary(interface, "", source_dest_check=checked, public=public)
    yield from _attachments(lab)


def _attachments(lab: Lab) -> Iterator[_Primary]:
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
                yield _Primary(specified, "", source_dest_check=False, public=False)


def _bare(vpc: Vpc) -> Iterator[_Primary]:
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
        yield _Primary(interface, one.instance_type, one.source_dest_check, wanted)


def _on_fargate(lab: Lab, enis: Iterable[Eni]) -> Iterator[_Primary]:
    """The ENIs that pods on Fargate keep; a new one's subnet is for the allocation to choose."""
    vpcs = {vpc.name: vpc for vpc in lab.vpcs}
    for cluster in lab.clusters:
        if isinstance(cluster, EksCluster):
            for interface in kept_interfaces(cluster, vpcs[cluster.vpc], enis):
                yield _Primary(interface, "", source_dest_check=True, public=False)


def _launch(ec2: Ec2, primaries: Iterable[_Primary]) -> None:
    """Every primary ENI there, as the topology wants it.

    Those with an address of their own come first: nobody else may be given it.
    """
    for one in sorted(primaries, key=lambda one: one.interface.private_ip is None):
        attached = ec2.attached(one.interface.instance)
        eni = attached[0] if attached else ec2.create_network_interface(one.interface)
        ec2.modify_source_dest_check(eni.id, enabled=one.source_dest_check)
        if one.public:
            ec2.associate_address(eni.id)
        else:
            ec2.disassociate_address(eni.id)


def _kept(lab: Lab, primaries: dict[str, _Primary], enis: Iterable[Eni]) -> Iterator[Eni]:
    """The ENIs of instances that are still what they were; any other starts anew."""
    subnets = _subnets(lab)
    kept_instances: set[str] = set()
    for eni in sorted(enis, key=lambda eni: eni.device_index):
        wanted = primaries.get(eni.instance)
        subnet = subnets.get((eni.vpc, eni.subnet))
        if wanted is None or subnet is None or not _fits(eni, wanted, subnets):
            continue
        if eni.device_index == 0:
            kept_instances.add(eni.instance)
        if eni.instance in kept_instances:
            paired = eni.public_ip is not None and eni.public_ip in lab.internet.public_cidr
            yield eni if paired else replace(eni, public_ip=None)


def _fits(eni: Eni, wanted: _Primary, subnets: Mapping[tuple[str, str], Subnet]) -> bool:
    """Whether the topology still allows this ENI of an instance, with all its addresses.

    ipamD may have attached ENIs in other subnets of the instance's zone.
    """
    interface, subnet = wanted.interface, subnets[eni.vpc, eni.subnet]
    home = subnets[interface.vpc, interface.subnet]
    if eni.vpc != interface.vpc or eni.interface_type != interface.interface_type:
        return False
    if eni.device_index == 0 and (
        subnet != home or interface.private_ip not in (None, eni.primary)
    ):
        return False
    if subnet.availability_zone != home.availability_zone:
        return False
    if any(ip not in subnet.cidr or ip in reserved(subnet.cidr) for ip in eni.delivered):
        return False
    return not wanted.instance_type or _within_limits(eni, wanted.instance_type)


def _within_limits(eni: Eni, instance_type: str) -> bool:
    allowed = limits(instance_type)
    return eni.device_index < allowed.enis and eni.slots <= allowed.ipv4_per_eni


def _subnets(lab: Lab) -> dict[tuple[str, str], Subnet]:
    return {(vpc.name, subnet.name): subnet for vpc in lab.vpcs for subnet in vpc.subnets}
