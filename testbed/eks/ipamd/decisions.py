"""What ipamD asks of EC2, and what it is answered with."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Protocol

from testbed.eks.ipamd.datastore.store import PoolEni
from testbed.errors import TestbedError

Granted = tuple[IPv4Network | IPv4Address, ...]  # addresses, or the prefixes that were asked for


@dataclass(frozen=True)
class AssignAddresses:
    """AssignPrivateIpAddresses: so many more for an ENI that has room."""

    eni: str
    count: int


@dataclass(frozen=True)
class AssignPrefixes:
    """AssignPrivateIpAddresses with Ipv4PrefixCount: so many prefixes for an ENI with room."""

    eni: str
    count: int


@dataclass(frozen=True)
class AttachEni:
    """One more ENI, with so many secondary addresses, or with so many prefixes."""

    addresses: int = 0
    prefixes: int = 0


@dataclass(frozen=True)
class UnassignAddresses:
    """UnassignPrivateIpAddresses: free addresses of an ENI go back to the subnet."""

    eni: str
    addresses: tuple[IPv4Address, ...]


@dataclass(frozen=True)
class UnassignPrefixes:
    """UnassignPrivateIpAddresses: prefixes without pods go back to the subnet."""

    eni: str
    prefixes: tuple[IPv4Network, ...]


@dataclass(frozen=True)
class FreeEni:
    """Detach and delete an ENI that no pod uses."""

    eni: str


Assign = AssignAddresses | AssignPrefixes
Unassign = UnassignAddresses | UnassignPrefixes
Decision = Assign | AttachEni | Unassign | FreeEni


@dataclass(frozen=True)
class Refusal:
    """EC2's no: the decision was not carried out.  code: AWS's error code."""

    decision: Decision
    code: str
    message: str


class Refused(TestbedError):
    """EC2 was not even asked, or said no.  code: AWS's error code, if it is one of AWS's."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class Ec2Calls(Protocol):
    """EC2 as one node's ipamD sees it.  Every call raises AwsError or Refused."""

    def assign(self, request: Assign) -> Granted:
        """The addresses or prefixes that were assigned: all that were asked for."""
        ...

    def attach(self, request: AttachEni) -> PoolEni:
        """The new ENI, with what was granted at once."""
        ...

    def unassign(self, request: Unassign) -> None:
        """Take addresses or prefixes back."""
        ...

    def free(self, request: FreeEni) -> None:
        """Detach and delete an ENI."""
        ...
