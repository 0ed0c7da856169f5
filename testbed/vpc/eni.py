"""An elastic network interface as a value, and what EC2 is told to make one."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from testbed.vpc.prefixes import addresses_of

InterfaceType = Literal[
    "interface", "nat_gateway", "load_balancer", "network_load_balancer", "transit_gateway"
]
BALANCERS: tuple[InterfaceType, ...] = ("load_balancer", "network_load_balancer")


@dataclass(frozen=True)
class Eni:
    """An elastic network interface and what it was given.

    addresses: the primary first.  prefixes: all their addresses are the ENI's too.
    public_ip: paired with the primary at the internet gateway.  running: whether its instance is.
    """

    id: str
    mac: str
    vpc: str
    subnet: str
    addresses: tuple[IPv4Address, ...]
    instance: str
    device_index: int
    source_dest_check: bool = True
    public_ip: IPv4Address | None = None
    interface_type: InterfaceType = "interface"
    prefixes: tuple[IPv4Network, ...] = ()
    running: bool = True

    @property
    def is_link(self) -> bool:
        """Whether it is the link of a namespace; else it takes addresses and no more."""
        return self.running and self.interface_type != "transit_gateway"

    @property
    def primary(self) -> IPv4Address:
        """The address it keeps for life, the only one DHCP tells the instance."""
        return self.addresses[0]

    @property
    def secondary(self) -> tuple[IPv4Address, ...]:
        """The addresses that come and go; pods have these."""
        return self.addresses[1:]

    @property
    def slots(self) -> int:
        """How many of the type's addresses per ENI are in use; a prefix counts as one."""
        return len(self.addresses) + len(self.prefixes)

    @property
    def delivered(self) -> tuple[IPv4Address, ...]:
        """Every address whose packets the VPC brings to the ENI, and takes from it."""
        return (*self.addresses, *addresses_of(self.prefixes))


@dataclass(frozen=True, kw_only=True)
class InterfaceSpecification:
    """What CreateNetworkInterface and AttachNetworkInterface are told, in one.

    private_ip: the primary address; none lets AWS choose.
    """

    vpc: str
    subnet: str
    instance: str
    device_index: int
    private_ip: IPv4Address | None = None
    secondary_count: int = 0
    prefix_count: int = 0
    interface_type: InterfaceType = "interface"
