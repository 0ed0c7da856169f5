"""A node's ipamD as JSON describes it; its keys are in docs/ipam.md."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from testbed.description import STRICT, Cidr, Ip, Whole, named
from testbed.eks.environment import CniSettings
from testbed.eks.model import Profile

SecondsAgo = Annotated[float, Field(ge=0)]
Released = Mapping[Ip, SecondsAgo]


@dataclass(frozen=True, config=STRICT)
class PrefixState:
    """A /28 of an ENI: the addresses pods have, and those given back so many seconds ago."""

    cidr: Cidr
    assigned: tuple[Ip, ...] = ()
    released: Released = Field(default_factory=dict)


@dataclass(frozen=True, config=STRICT)
class EniState:
    """An attached ENI with its secondary addresses and prefixes; none ago is long ago.

    tags, efa_only, network_card: by these v1.23 leaves an ENI alone.
    """

    id: str
    device_index: Annotated[Whole, Field(ge=0)]
    free: tuple[Ip, ...] = ()
    assigned: tuple[Ip, ...] = ()
    released: Released = Field(default_factory=dict)
    prefixes: Annotated[tuple[PrefixState, ...], named("cidr")] = ()
    attached_seconds_ago: SecondsAgo | None = None
    trunk: bool = False
    efa: bool = False
    excluded: bool = False
    tags: Mapping[str, str] = Field(default_factory=dict)
    efa_only: bool = False
    network_card: Annotated[Whole, Field(ge=0)] = 0

    @property
    def primary(self) -> bool:
        """Whether it is eth0."""
        return self.device_index == self.network_card == 0


@dataclass(frozen=True, config=STRICT)
class ListedState:
    """An ENI as the metadata or EC2 lists it, without its primary address."""

    id: str
    device_index: Annotated[Whole, Field(ge=0)]
    addresses: tuple[Ip, ...] = ()
    prefixes: tuple[Cidr, ...] = ()


ListedEnis = Annotated[tuple[ListedState, ...], named("id")]


@dataclass(frozen=True, config=STRICT)
class IpamState:
    """A node's ipamD.  max_pods: kubelet's; none takes what the instance type allows.

    subnet_free: addresses its subnet has left; none never refuses.  imds: what the metadata
    lists; ec2: what EC2 says, if it is not the same; returned: what went back, seconds ago.
    instance_id: which instance's ipamD it is, for the tags of ENIs.
    """

    instance_type: str
    enis: Annotated[tuple[EniState, ...], named("id")]
    profile: Profile = "current"
    max_pods: Annotated[Whole, Field(ge=0)] | None = None
    env: CniSettings = CniSettings()
    decreased_seconds_ago: SecondsAgo | None = None
    refused_seconds_ago: SecondsAgo | None = None
    instance_id: str = ""
    unmanaged_enis: Annotated[Whole, Field(ge=0)] = 0
    awaits_trunk: bool = False
    terminating: bool = False
    cordoned: bool = False
    subnet_free: Annotated[Whole, Field(ge=0)] | None = None
    imds: ListedEnis | None = None
    ec2: ListedEnis | None = None
    ec2_fails: bool = False
    returned: Mapping[str, SecondsAgo] = Field(default_factory=dict)
    acted_seconds_ago: SecondsAgo | None = None
