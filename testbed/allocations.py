"""Who was given which address: the state of a lab, kept from one `up` to the next."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

from pydantic import TypeAdapter

from testbed.eks import allocate as eks
from testbed.eks.ipamd.datastore.memory import Memory, remembered
from testbed.eks.logs.events import Witness, nobody
from testbed.eks.model import EksCluster
from testbed.errors import DescriptionError, Where
from testbed.kops import allocate as kops
from testbed.kops.model import KopsCluster
from testbed.kubernetes.placement import (
    NodeIpam,
    NodeRange,
    Pending,
    Placed,
    PodAddress,
    ServiceAddress,
)
from testbed.lab import Cluster, Lab, service_cidr
from testbed.lab.interfaces import Primary, primaries, subnets
from testbed.services.allocate import allocate_services
from testbed.vpc.addresses import reserved
from testbed.vpc.ec2 import Ec2
from testbed.vpc.eni import Eni
from testbed.vpc.instance_types import limits
from testbed.vpc.model import Subnet, Vpc


@dataclass(frozen=True)
class Allocations:
    """ENIs with their addresses, pods with theirs, and pods that wait, with the reason.

    ranges: of the nodes whose pods have no ENI's addresses; ipam: where each cluster's giver of
    ranges goes on.  memories: of ipamDs that know something else than this.
    """

    enis: tuple[Eni, ...] = ()
    pods: tuple[PodAddress, ...] = ()
    pending: tuple[Pending, ...] = ()
    ranges: tuple[NodeRange, ...] = ()
    services: tuple[ServiceAddress, ...] = ()
    memories: tuple[Memory, ...] = ()
    ipam: tuple[NodeIpam, ...] = ()

    @cached_property
    def attached(self) -> Mapping[str, Sequence[Eni]]:
        """The ENIs of each instance that has any."""
        found: dict[str, list[Eni]] = {}
        for eni in self.enis:
            found.setdefault(eni.instance, []).append(eni)
        return found

    @property
    def namespaces(self) -> frozenset[str]:
        """Those of pods and of whatever has an ENI: all but a few of the ones that are planned."""
        pods = {pod.pod for pod in self.pods if not pod.host_network}
        return frozenset(pods | {eni.instance for eni in self.enis if eni.is_link})


def allocate(lab: Lab, before: Allocations | None = None, tell: Witness = nobody) -> Allocations:
    """Addresses for everything in the lab; what `before` gave and still fits is kept.

    tell: is told what EKS nodes' ipamDs do.
    Raises AwsError: an address was asked for that cannot be had; DescriptionError: a cluster's
    manifests are not read, or no address is left for a Service.
    """
    before = before or Allocations()
    wanted = {one.interface.instance: one for one in primaries(lab, before.enis)}
    types = {name: one.instance_type for name, one in wanted.items() if one.instance_type}
    kept = _kept(lab, wanted, before.enis)
    spared = [
        (one.interface.vpc, one.interface.subnet, address)
        for one in wanted.values()
        for address in one.secondary or ()
    ]
    ec2 = Ec2(lab.vpcs, lab.internet, kept, instance_types=types, spared=spared)
    _launch(ec2, wanted.values())
    _assign(ec2, wanted.values())
    vpcs = {vpc.name: vpc for vpc in lab.vpcs}
    placed = [_placed(cluster, vpcs[cluster.vpc], ec2, before, tell) for cluster in lab.clusters]
    given = [_given(cluster, vpcs[cluster.vpc], before) for cluster in lab.clusters]
    pods = tuple(pod for one in placed for pod in one.pods)
    return Allocations(
        enis=ec2.enis(),
        pods=pods,
        pending=tuple(pod for one in placed for pod in one.pending),
        ranges=tuple(own for one in placed for own in one.ranges),
        services=tuple(service for one in given for service in one),
        memories=tuple(_memories(lab, before, pods, ec2.enis())),
        ipam=tuple(own for one in placed for own in one.ipam),
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


def _placed(cluster: Cluster, vpc: Vpc, ec2: Ec2, before: Allocations, tell: Witness) -> Placed:
    match cluster:
        case EksCluster():
            known = (before.pods, before.pending, before.memories)
            return Placed(*eks.allocate_pods(cluster, vpc, ec2, *known, tell))
        case KopsCluster():
            earlier = Placed(before.pods, before.pending, before.ranges, before.ipam)
            return kops.allocate_pods(cluster, vpc, ec2, earlier)


def _given(cluster: Cluster, vpc: Vpc, before: Allocations) -> tuple[ServiceAddress, ...]:
    if cluster.manifests:
        message = "its manifests are not read: testbed.load.with_manifests does that"
        raise DescriptionError(message, Where(key=f"clusters.{cluster.name}"))
    cidr = service_cidr(cluster, vpc)
    return allocate_services(cluster.name, cluster.services, cidr, before.services)


def to_json(allocations: Allocations) -> str:
    """Allocations as text, for the daemon to store."""
    return _adapter().dump_json(allocations).decode()


def from_json(text: str | bytes) -> Allocations:
    """Allocations from what `to_json` wrote.  Raises ValueError."""
    return _adapter().validate_json(text)


@cache
def _adapter() -> TypeAdapter[Allocations]:
    return TypeAdapter(Allocations)


def _launch(ec2: Ec2, wanted: Iterable[Primary]) -> None:
    """Every primary ENI there, as the topology wants it.

    Those with an address of their own come first: nobody else may be given it.
    """
    for one in sorted(wanted, key=lambda one: one.interface.private_ip is None):
        attached = ec2.attached(one.interface.instance)
        eni = attached[0] if attached else ec2.create_network_interface(one.interface)
        ec2.modify_source_dest_check(eni.id, enabled=one.source_dest_check)
        ec2.set_running(eni.id, running=one.running)
        if one.public:
            ec2.associate_address(eni.id)
        else:
            ec2.disassociate_address(eni.id)


def _assign(ec2: Ec2, wanted: Iterable[Primary]) -> None:
    """The secondary addresses of bare instances; what they gave back is there for others."""
    theirs = [
        (ec2.attached(one.interface.instance)[0], one.secondary)
        for one in wanted
        if one.secondary is not None
    ]
    for eni, secondary in theirs:
        ec2.unassign_private_ip_addresses(eni.id, set(eni.secondary) - set(secondary))
    for eni, secondary in theirs:
        new = [address for address in secondary if address not in eni.secondary]
        ec2.assign_private_ip_addresses(eni.id, new)


def _kept(lab: Lab, starting: dict[str, Primary], enis: Iterable[Eni]) -> Iterator[Eni]:
    """The ENIs of instances that are still what they were; any other starts anew."""
    places = subnets(lab)
    kept_instances: set[str] = set()
    for eni in sorted(enis, key=lambda eni: eni.device_index):
        wanted = starting.get(eni.instance)
        subnet = places.get((eni.vpc, eni.subnet))
        if wanted is None or subnet is None or not _fits(eni, wanted, places):
            continue
        if eni.device_index == 0:
            kept_instances.add(eni.instance)
        if eni.instance in kept_instances:
            paired = eni.public_ip is not None and eni.public_ip in lab.internet.public_cidr
            yield eni if paired else replace(eni, public_ip=None)


def _fits(eni: Eni, wanted: Primary, subnets: Mapping[tuple[str, str], Subnet]) -> bool:
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
