"""EC2 as far as addresses go: which ENI has which address, and what AWS would refuse."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Literal

from testbed.errors import AwsError
from testbed.net import names
from testbed.vpc.addresses import AddressPool, reserved
from testbed.vpc.instance_types import InstanceLimits, limits
from testbed.vpc.model import Internet, Subnet, Vpc

InterfaceType = Literal["interface", "nat_gateway", "load_balancer"]


@dataclass(frozen=True)
class Eni:
    """An elastic network interface and what it was given.

    addresses: the primary first.  public_ip: paired with the primary at the internet gateway.
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

    @property
    def primary(self) -> IPv4Address:
        """The address it keeps for life, the only one DHCP tells the instance."""
        return self.addresses[0]

    @property
    def secondary(self) -> tuple[IPv4Address, ...]:
        """The addresses that come and go; pods have these."""
        return self.addresses[1:]


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
    interface_type: InterfaceType = "interface"


class Ec2:
    """The one truth about who owns an address.

    It has state because an allocation run is a conversation: each answer depends on all answers
    before it.  It lives for one run, starts from the ENIs of the last one and ends as `enis()`.
    Every call does all it was asked for or raises AwsError, with AWS's code, and does nothing.
    An instance's limits are enforced when `instance_types` tells its type.
    """

    def __init__(
        self,
        vpcs: Iterable[Vpc],
        internet: Internet,
        enis: Iterable[Eni] = (),
        *,
        instance_types: Mapping[str, str] | None = None,
    ) -> None:
        self._subnets = {(vpc.name, subnet.name): subnet for vpc in vpcs for subnet in vpc.subnets}
        self._pools = {key: AddressPool(subnet.cidr) for key, subnet in self._subnets.items()}
        self._public = AddressPool(internet.public_cidr)
        self._instance_types = dict(instance_types or {})
        self._enis: dict[str, Eni] = {}
        for eni in enis:
            self._restore(eni)

    def enis(self) -> tuple[Eni, ...]:
        """All ENIs, ordered by VPC, instance and device index."""
        return tuple(
            sorted(self._enis.values(), key=lambda eni: (eni.vpc, eni.instance, eni.device_index))
        )

    def attached(self, instance: str) -> tuple[Eni, ...]:
        """The ENIs of one instance, by device index."""
        mine = (eni for eni in self._enis.values() if eni.instance == instance)
        return tuple(sorted(mine, key=lambda eni: eni.device_index))

    def free_addresses(self, vpc: str, subnet: str) -> int:
        """AvailableIpAddressCount of a subnet."""
        return self._pool(vpc, subnet).free

    def create_network_interface(self, wanted: InterfaceSpecification) -> Eni:
        """A new ENI, attached, with its primary address and `secondary_count` more."""
        pool = self._pool(wanted.vpc, wanted.subnet)
        self._check_attachment(wanted)
        self._check_address_count(wanted.instance, 1 + wanted.secondary_count)
        if wanted.private_ip:
            self._check_creatable(wanted.vpc, wanted.subnet, wanted.private_ip)
        self._check_room(pool, 1 + wanted.secondary_count)
        if wanted.private_ip:
            pool.take(wanted.private_ip)
        primary = (wanted.private_ip,) if wanted.private_ip else pool.take_lowest(1)
        eni = Eni(
            id=_eni_id(wanted.instance, wanted.device_index),
            mac=names.mac(wanted.instance, f"eth{wanted.device_index}"),
            vpc=wanted.vpc,
            subnet=wanted.subnet,
            addresses=(*primary, *pool.take_lowest(wanted.secondary_count)),
            instance=wanted.instance,
            device_index=wanted.device_index,
            interface_type=wanted.interface_type,
        )
        self._enis[eni.id] = eni
        return eni

    def delete_network_interface(self, eni_id: str) -> None:
        """Detach and delete an ENI; its addresses are free again."""
        eni = self._eni(eni_id)
        if eni.device_index == 0 or eni.interface_type != "interface":
            # AWS's own words for it are not known to us
            raise AwsError("OperationNotPermitted", f"{eni_id} cannot be detached or deleted")
        pool = self._pool(eni.vpc, eni.subnet)
        for address in eni.addresses:
            pool.release(address)
        self.disassociate_address(eni_id)
        del self._enis[eni_id]

    def assign_private_ip_addresses(
        self, eni_id: str, wanted: int | Iterable[IPv4Address]
    ) -> tuple[IPv4Address, ...]:
        """Secondary addresses for an ENI: so many, or exactly these."""
        eni = self._eni(eni_id)
        pool = self._pool(eni.vpc, eni.subnet)
        explicit = () if isinstance(wanted, int) else tuple(dict.fromkeys(wanted))
        count = wanted if isinstance(wanted, int) else len(explicit)
        self._check_address_count(eni.instance, len(eni.addresses) + count)
        for address in explicit:
            self._check_assignable(eni, address)
        self._check_room(pool, count)
        for address in explicit:
            pool.take(address)
        given = explicit or pool.take_lowest(count)
        self._enis[eni_id] = replace(eni, addresses=eni.addresses + given)
        return given

    def unassign_private_ip_addresses(self, eni_id: str, addresses: Iterable[IPv4Address]) -> None:
        """Secondary addresses given back to the subnet."""
        eni = self._eni(eni_id)
        given_back = frozenset(addresses)
        if not given_back <= frozenset(eni.secondary):
            raise AwsError(
                "InvalidParameterValue",
                f"Some of the specified addresses are not assigned to interface {eni_id}",
            )
        pool = self._pool(eni.vpc, eni.subnet)
        for address in given_back:
            pool.release(address)
        kept = tuple(address for address in eni.addresses if address not in given_back)
        self._enis[eni_id] = replace(eni, addresses=kept)

    def modify_source_dest_check(self, eni_id: str, *, enabled: bool) -> None:
        """ModifyNetworkInterfaceAttribute: may the ENI carry packets of other addresses?"""
        self._enis[eni_id] = replace(self._eni(eni_id), source_dest_check=enabled)

    def associate_address(self, eni_id: str) -> IPv4Address:
        """The public address paired with the ENI's primary one, a new one if it has none."""
        eni = self._eni(eni_id)
        if eni.public_ip:
            return eni.public_ip
        if not self._public.free:
            raise AwsError(
                "AddressLimitExceeded", "The maximum number of addresses has been reached."
            )
        [public_ip] = self._public.take_lowest(1)
        self._enis[eni_id] = replace(eni, public_ip=public_ip)
        return public_ip

    def disassociate_address(self, eni_id: str) -> None:
        """The ENI without its public address; none is fine."""
        eni = self._eni(eni_id)
        if eni.public_ip:
            self._public.release(eni.public_ip)
            self._enis[eni_id] = replace(eni, public_ip=None)

    def _restore(self, eni: Eni) -> None:
        pool = self._pool(eni.vpc, eni.subnet)
        for address in eni.addresses:
            pool.take(address)
        if eni.public_ip:
            self._public.take(eni.public_ip)
        self._enis[eni.id] = eni

    def _eni(self, eni_id: str) -> Eni:
        if eni_id not in self._enis:
            raise AwsError(
                "InvalidNetworkInterfaceID.NotFound",
                f"The networkInterface ID '{eni_id}' does not exist",
            )
        return self._enis[eni_id]

    def _pool(self, vpc: str, subnet: str) -> AddressPool:
        if (vpc, subnet) not in self._pools:
            raise AwsError(
                "InvalidSubnetID.NotFound", f"The subnet ID '{subnet}' does not exist in {vpc}"
            )
        return self._pools[vpc, subnet]

    def _limits(self, instance: str) -> InstanceLimits | None:
        instance_type = self._instance_types.get(instance)
        return limits(instance_type) if instance_type else None

    def _check_attachment(self, wanted: InterfaceSpecification) -> None:
        attached = self.attached(wanted.instance)
        if any(eni.device_index == wanted.device_index for eni in attached):
            raise AwsError(
                "InvalidParameterValue",
                f"Instance '{wanted.instance}' already has an interface attached at device index "
                f"'{wanted.device_index}'.",
            )
        allowed = self._limits(wanted.instance)
        if allowed and len(attached) >= allowed.enis:
            raise AwsError(
                "AttachmentLimitExceeded",
                f"Interface count {len(attached) + 1} exceeds the limit for "
                f"{self._instance_types[wanted.instance]}",
            )

    def _check_address_count(self, instance: str, count: int) -> None:
        allowed = self._limits(instance)
        if allowed and count > allowed.ipv4_per_eni:
            raise AwsError(
                "PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit."
            )

    def _check_creatable(self, vpc: str, subnet: str, address: IPv4Address) -> None:
        _check_inside(self._subnets[vpc, subnet], address)
        if self._pools[vpc, subnet].holds(address):
            # RunInstances' text; CreateNetworkInterface says only "The specified address is …"
            raise AwsError("InvalidIPAddress.InUse", f"Address {address} is in use.")

    def _check_assignable(self, eni: Eni, address: IPv4Address) -> None:
        _check_inside(self._subnets[eni.vpc, eni.subnet], address)
        if self._pools[eni.vpc, eni.subnet].holds(address):
            raise AwsError(
                "InvalidParameterValue", f"[{address}] assigned, but move is not allowed."
            )

    def _check_room(self, pool: AddressPool, count: int) -> None:
        if count > pool.free:
            raise AwsError(
                "InsufficientFreeAddressesInSubnet",
                "The specified subnet does not have enough free addresses to satisfy the request.",
            )


def _check_inside(subnet: Subnet, address: IPv4Address) -> None:
    if address not in subnet.cidr:
        raise AwsError(
            "InvalidParameterValue",
            f"Address {address} does not fall within the subnet's address range",
        )
    if address in reserved(subnet.cidr):
        raise AwsError(
            "InvalidParameterValue", f"Address {address} is in subnet's reserved address range"
        )


def _eni_id(instance: str, device_index: int) -> str:
    """The same instance and index are the same ENI, whenever it was made."""
    return f"eni-{names.digest('eni', instance, str(device_index), length=17)}"
