"""One node's ipamD before EC2: what the instance has, and the subnets its ENIs may be in."""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address

from testbed.eks.eni_config import eni_config
from testbed.eks.ipamd.datastore.store import DataStore, PoolEni, Prefix
from testbed.eks.ipamd.decisions import (
    Assign,
    AssignPrefixes,
    AttachEni,
    FreeEni,
    Granted,
    Refused,
    Unassign,
    UnassignPrefixes,
)
from testbed.eks.ipamd.settings import Settings
from testbed.eks.model import EksCluster
from testbed.errors import AwsError
from testbed.kubernetes.model import Node
from testbed.vpc.ec2 import Ec2
from testbed.vpc.eni import Eni, InterfaceSpecification
from testbed.vpc.model import Subnet, Vpc

# amazon-vpc-cni-k8s v1.18: the tag that opens a subnet for pods; "0" closes it
FOR_PODS, CLOSED = "kubernetes.io/role/cni", "0"
OF_CLUSTER = "cni.networking.k8s.aws/cluster/"  # with a cluster's name: for this one only
NO_ENI_CONFIG = "eniconfig: eniconfig is not available"  # ErrNoENIConfig
NO_SUBNET = "no valid subnets available for ENI creation"
CLOSED_PRIMARY = f"primary subnet is tagged with {FOR_PODS}={CLOSED}"


class NodeEc2:
    """EC2, as the ipamD of one node calls it.

    vpc: the cluster's.  It keeps nothing: EC2 has the state.
    """

    def __init__(self, ec2: Ec2, vpc: Vpc, cluster: EksCluster, node: Node, rules: Settings):
        self._ec2 = ec2
        self._vpc = vpc
        self._cluster = cluster
        self._node = node
        self._rules = rules

    def store(self, in_use: frozenset[IPv4Address]) -> DataStore:
        """What ipamD finds at its start.  in_use: addresses that pods have."""
        attached = self._ec2.attached(self._node.name)
        return DataStore(tuple(self._pooled(eni, in_use) for eni in attached))

    def assign(self, request: Assign) -> Granted:
        """More addresses or prefixes for an ENI of the node.  Raises AwsError."""
        if isinstance(request, AssignPrefixes):
            return self._ec2.assign_ipv4_prefixes(request.eni, request.count)
        return self._ec2.assign_private_ip_addresses(request.eni, request.count)

    def attach(self, request: AttachEni) -> PoolEni:
        """Another ENI, in the first subnet that takes it.

        Raises AwsError: the last one's refusal; Refused: there is no subnet for it.
        """
        used = {eni.device_index for eni in self._ec2.attached(self._node.name)}
        refusal: AwsError | None = None
        for subnet in self._subnets():
            wanted = InterfaceSpecification(
                vpc=self._vpc.name,
                subnet=subnet,
                instance=self._node.name,
                device_index=min(set(range(len(used) + 1)) - used),
                secondary_count=request.addresses,
                prefix_count=request.prefixes,
            )
            try:
                return self._pooled(self._ec2.create_network_interface(wanted), frozenset())
            except AwsError as error:
                refusal = error
        raise refusal or Refused("", NO_SUBNET)

    def unassign(self, request: Unassign) -> None:
        """Addresses or prefixes back to the subnet.  Raises AwsError."""
        if isinstance(request, UnassignPrefixes):
            self._ec2.unassign_ipv4_prefixes(request.eni, request.prefixes)
        else:
            self._ec2.unassign_private_ip_addresses(request.eni, request.addresses)

    def free(self, request: FreeEni) -> None:
        """Detach and delete an ENI.  Raises AwsError."""
        self._ec2.delete_network_interface(request.eni)

    def _pooled(self, eni: Eni, in_use: frozenset[IPv4Address]) -> PoolEni:
        prefixes = (Prefix(cidr, in_use.intersection(cidr)) for cidr in sorted(eni.prefixes))
        closed = self._rules.subnet_discovery and self._closed(self._subnet(eni.subnet))
        return PoolEni(
            eni.id,
            eni.device_index,
            free=tuple(sorted(set(eni.secondary) - in_use)),
            assigned=in_use.intersection(eni.secondary),
            prefixes=tuple(prefixes),
            excluded=closed,
        )

    def _subnets(self) -> Iterable[str]:
        """Where a new ENI may be, the best first.

        With custom networking where the node's ENIConfig says; else in the node's own subnet and
        in those of its zone whose tag says so, the one with most free addresses first.
        """
        own = self._subnet(self._node.subnet)
        if self._rules.custom_networking:
            config = eni_config(self._cluster, self._vpc, self._node, own)
            if config is None:
                raise Refused("", NO_ENI_CONFIG)
            return [config.subnet]
        if not self._rules.subnet_discovery:
            if self._rules.era.discovers_subnets and self._closed(own):
                raise Refused("", f"{CLOSED_PRIMARY} - {NO_SUBNET}")
            return [own.name]
        return [subnet.name for subnet in sorted(self._discovered(own), key=self._taken)]

    def _discovered(self, own: Subnet) -> Iterator[Subnet]:
        for subnet in self._vpc.subnets:
            open_for_pods = subnet == own or FOR_PODS in _tags(subnet)
            here = subnet.availability_zone == own.availability_zone
            if here and open_for_pods and not self._closed(subnet):
                yield subnet

    def _closed(self, subnet: Subnet) -> bool:
        return keeps_pods_out(subnet, self._cluster.env.cluster_name)

    def _taken(self, subnet: Subnet) -> int:
        return -self._ec2.free_addresses(self._vpc.name, subnet.name)

    def _subnet(self, name: str) -> Subnet:
        return next(subnet for subnet in self._vpc.subnets if subnet.name == name)


def keeps_pods_out(subnet: Subnet, cluster_name: str) -> bool:
    """Whether a subnet's tags keep pods out: "0", or it is for other clusters."""
    tags = _tags(subnet)
    if tags.get(FOR_PODS) == CLOSED:
        return True
    clusters = {tag.removeprefix(OF_CLUSTER) for tag in tags if tag.startswith(OF_CLUSTER)}
    others = bool(cluster_name and clusters) and cluster_name not in clusters
    return FOR_PODS in tags and others


def _tags(subnet: Subnet) -> Mapping[str, str]:
    """The subnet's tags; an empty value is as good as none to ipamD."""
    return {tag: value for tag, value in (subnet.tags or {}).items() if value or tag != FOR_PODS}
