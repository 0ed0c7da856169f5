"""What the instance metadata service of each VPC tells the lab's nodes and instances."""

from collections.abc import Iterator

from testbed.allocations import Allocations
from testbed.lab import Lab
from testbed.net.served.endpoints import Listener
from testbed.net.served.metadata import InstanceMetadata
from testbed.plan.security import memberships
from testbed.vpc.fabric.metadata import instance_metadata
from testbed.vpc.fabric.resolver import metadata_listener
from testbed.vpc.model import MetadataOptions, Vpc
from testbed.vpc.security.groups import groups_of


def metadata_listeners(lab: Lab, allocations: Allocations) -> Iterator[Listener]:
    """A service for each VPC."""
    for vpc in lab.vpcs:
        yield metadata_listener(vpc, _instances(lab, vpc, allocations))


def _instances(lab: Lab, vpc: Vpc, allocations: Allocations) -> Iterator[InstanceMetadata]:
    """Gateways and load balancers are no instances of the user's: they are told nothing."""
    groups = memberships(lab)
    for name, (instance_type, options) in _described(lab, vpc).items():
        enis = allocations.attached.get(name, ())
        own = {eni.id: groups_of(eni, groups) if vpc.security_groups else () for eni in enis}
        yield instance_metadata(vpc, enis, instance_type, own, options)


def _described(lab: Lab, vpc: Vpc) -> dict[str, tuple[str, MetadataOptions]]:
    """Types and options by name, of nodes and bare instances."""
    nodes = {
        node.name: (node.instance_type, node.metadata_options)
        for cluster in lab.clusters
        if cluster.vpc == vpc.name
        for node in cluster.nodes
    }
    return nodes | {one.name: (one.instance_type, one.metadata_options) for one in vpc.instances}
