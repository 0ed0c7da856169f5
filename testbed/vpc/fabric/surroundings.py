"""What a VPC's fabric has to know of the networks around it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from testbed.vpc.eni import Eni
from testbed.vpc.fabric.routing import Hop


@dataclass(frozen=True)
class Attached:
    """A transit gateway's attachment: its link on the router, the subnets of its interfaces."""

    device: str
    subnets: tuple[str, ...]


@dataclass(frozen=True)
class Surroundings:
    """What is around one VPC.

    hops: where route targets are that are neither the VPC's own gateways nor ENIs.  peers: the
    ENIs of other VPCs whose security groups its rules may name as `VPC/GROUP`.
    """

    hops: Mapping[str, Hop] = field(default_factory=dict)
    peers: tuple[Eni, ...] = ()
    attached: tuple[Attached, ...] = ()
