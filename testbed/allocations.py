"""Who was given which address: the state of a lab, kept from one `up` to the next."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache

from pydantic import TypeAdapter, ValidationError

from testbed.eks.allocate import allocate_pods
from testbed.errors import TestbedError
from testbed.kubernetes.placement import Pending, PodAddress
from testbed.lab import Lab
from testbed.vpc.addresses import reserved
from testbed.vpc.ec2 import Ec2, Eni, InterfaceSpecification
from testbed.vpc.eni import nat_netns
from testbed.vpc.instance_types import limits
from testbed.vpc.model import Subnet


@dataclass(frozen=True)
class Allocations:
    """ENIs with their addresses, pods with theirs, and pods that wait, with the reason."""

    enis: tuple[Eni, ...] = ()
    pods: tuple[PodAddress, ...] = ()
    pending: tuple[Pending, ...] = ()


@dataclass(frozen=True)
class _Primary:
    """The ENI a node or a NAT gateway starts with, as the topology wants it."""

    interface: InterfaceSpecification
    instance_type: str  # none for a NAT gateway
    source_dest_check: bool
    public: bool


def allocate(lab: Lab, before: Allocations | None = None) -> Allocations:
    """Addresses for everything in the lab; what `before` gave and still fits is kept.

    Raises AwsError: an address was asked for that cannot be had.
    """
    before = before or Allocations()
    primaries = {one.interface.instance: one for one in _primaries(lab)}
    types = {name: one.instance_type for name, one in primaries.items() if one.instance_type}
    kept = _kept(lab, primaries, before.enis)
    ec2 = Ec2(lab.vpcs, lab.internet, kept, instance_types=types)
    _launch(ec2, primaries.values())
    pods: list[PodAddress] = []
    pending: list[Pending] = []
    for cluster in lab.clusters:
        running, waiting = allocate_pods(cluster, ec2, before.pods, before.pending)
        pods += running
        pending += waiting
    return Allocations(ec2.enis(), tuple(pods), tuple(pending))


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
    """Every node's first ENI and every NAT gateway's only one."""
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
        if wanted is None or subnet is None or not _fits(eni, wanted, subnet):
            continue
        if eni.device_index == 0:
            kept_instances.add(eni.instance)
        if eni.instance in kept_instances:
            paired = eni.public_ip is not None and eni.public_ip in lab.internet.public_cidr
            yield eni if paired else replace(eni, public_ip=None)


def _fits(eni: Eni, wanted: _Primary, subnet: Subnet) -> bool:
    """Whether the topology still allows this ENI of an instance, with all its addresses."""
    interface = wanted.interface
    if (eni.vpc, eni.subnet) != (interface.vpc, interface.subnet):
        return False
    if eni.interface_type != interface.interface_type:
        return False
    if eni.device_index == 0 and interface.private_ip not in (None, eni.primary):
        return False
    if any(ip not in subnet.cidr or ip in reserved(subnet.cidr) for ip in eni.addresses):
        return False
    return not wanted.instance_type or _within_limits(eni, wanted.instance_type)


def _within_limits(eni: Eni, instance_type: str) -> bool:
    allowed = limits(instance_type)
    return eni.device_index < allowed.enis and len(eni.addresses) <= allowed.ipv4_per_eni


def _subnets(lab: Lab) -> dict[tuple[str, str], Subnet]:
    return {(vpc.name, subnet.name): subnet for vpc in lab.vpcs for subnet in vpc.subnets}
