"""EC2 as far as addresses go: which ENI has which address, and what AWS would refuse."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from testbed.errors import AwsError
from testbed.net import names
from testbed.vpc.addresses import AddressPool
from testbed.vpc.checks import refusals
from testbed.vpc.eni import BALANCERS, Eni, InterfaceSpecification
from testbed.vpc.model import Internet, Vpc
from testbed.vpc.prefixes import addresses_of


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
        spared: Iterable[tuple[str, str, IPv4Address]] = (),
    ) -> None:
        """spared: addresses of a VPC's subnet that only who asks for them by name is given."""
        self._subnets = {(vpc.name, subnet.name): subnet for vpc in vpcs for subnet in vpc.subnets}
        kept: dict[tuple[str, str], list[IPv4Address]] = {}
        for vpc, subnet_name, address in spared:
            kept.setdefault((vpc, subnet_name), []).append(address)
        self._pools = {
            key: AddressPool(subnet.cidr, kept.get(key, ()))
            for key, subnet in self._subnets.items()
        }
        self._public = AddressPool(internet.public_cidr)
        self._instance_types = dict(instance_types or {})
        self._enis: dict[str, Eni] = {}
        self._ids: dict[str, set[str]] = {}  # of each instance's ENIs
        for eni in enis:
            self._restore(eni)

    def enis(self) -> tuple[Eni, ...]:
        """All ENIs, ordered by VPC, instance and device index."""
        return tuple(
            sorted(self._enis.values(), key=lambda eni: (eni.vpc, eni.instance, eni.device_index))
        )

    def attached(self, instance: str) -> tuple[Eni, ...]:
        """The ENIs of one instance, by device index."""
        mine = (self._enis[eni_id] for eni_id in self._ids.get(instance, ()))
        return tuple(sorted(mine, key=lambda eni: eni.device_index))

    def free_addresses(self, vpc: str, subnet: str) -> int:
        """AvailableIpAddressCount of a subnet."""
        return self._pool(vpc, subnet).free

    def create_network_interface(self, wanted: InterfaceSpecification) -> Eni:
        """A new ENI, attached, with its primary address and what more was asked for."""
        pool, instance = self._pool(wanted.vpc, wanted.subnet), wanted.instance
        self._check_attachment(wanted)
        if wanted.interface_type in BALANCERS:
            refusals.check_room_for_balancer(pool, wanted.subnet)
        slots = 1 + wanted.secondary_count + wanted.prefix_count
        refusals.check_slots(self._instance_types.get(instance, ""), slots)
        addresses, prefixes = _taken(pool, wanted)
        eni = Eni(
            id=_eni_id(instance, wanted.device_index),
            mac=names.mac(instance, f"eth{wanted.device_index}"),
            vpc=wanted.vpc,
            subnet=wanted.subnet,
            addresses=addresses,
            instance=instance,
            device_index=wanted.device_index,
            interface_type=wanted.interface_type,
            prefixes=prefixes,
        )
        self._attach(eni)
        return eni

    def delete_network_interface(self, eni_id: str) -> None:
        """Detach and delete an ENI; its addresses are free again."""
        eni = self._eni(eni_id)
        if eni.device_index == 0 or eni.interface_type != "interface":
            # AWS's own words for it are not known to us
            raise AwsError("OperationNotPermitted", f"{eni_id} cannot be detached or deleted")
        self._release(eni, eni.delivered)
        self.disassociate_address(eni_id)
        self._ids[eni.instance].discard(eni_id)
        del self._enis[eni_id]

    def assign_private_ip_addresses(
        self, eni_id: str, wanted: int | Iterable[IPv4Address]
    ) -> tuple[IPv4Address, ...]:
        """Secondary addresses for an ENI: so many, or exactly these."""
        eni = self._eni(eni_id)
        pool = self._pool(eni.vpc, eni.subnet)
        explicit = () if isinstance(wanted, int) else tuple(dict.fromkeys(wanted))
        count = wanted if isinstance(wanted, int) else len(explicit)
        refusals.check_slots(self._instance_types.get(eni.instance, ""), eni.slots + count)
        for address in explicit:
            refusals.check_assignable(pool, address)
        refusals.check_room(pool, 0 if explicit else count)
        for address in explicit:
            pool.take(address)
        given = explicit or pool.take_lowest(count)
        self._enis[eni_id] = replace(eni, addresses=eni.addresses + given)
        return given

    def assign_ipv4_prefixes(self, eni_id: str, count: int) -> tuple[IPv4Network, ...]:
        """AssignPrivateIpAddresses with Ipv4PrefixCount: so many prefixes for an ENI."""
        eni = self._eni(eni_id)
        refusals.check_slots(self._instance_types.get(eni.instance, ""), eni.slots + count)
        given = refusals.take_prefixes(self._pool(eni.vpc, eni.subnet), count)
        self._enis[eni_id] = replace(eni, prefixes=eni.prefixes + given)
        return given

    def unassign_private_ip_addresses(self, eni_id: str, addresses: Iterable[IPv4Address]) -> None:
        """Secondary addresses given back to the subnet."""
        eni, gone = self._eni(eni_id), frozenset(addresses)
        refusals.check_given(eni_id, gone, frozenset(eni.secondary))
        self._release(eni, gone)
        kept = tuple(address for address in eni.addresses if address not in gone)
        self._enis[eni_id] = replace(eni, addresses=kept)

    def unassign_ipv4_prefixes(self, eni_id: str, prefixes: Iterable[IPv4Network]) -> None:
        """UnassignPrivateIpAddresses with Ipv4Prefixes: prefixes given back to the subnet."""
        eni, gone = self._eni(eni_id), frozenset(prefixes)
        refusals.check_given(eni_id, gone, frozenset(eni.prefixes))
        self._release(eni, addresses_of(gone))
        kept = tuple(prefix for prefix in eni.prefixes if prefix not in gone)
        self._enis[eni_id] = replace(eni, prefixes=kept)

    def modify_source_dest_check(self, eni_id: str, *, enabled: bool) -> None:
        """ModifyNetworkInterfaceAttribute: may the ENI carry packets of other addresses?"""
        self._enis[eni_id] = replace(self._eni(eni_id), source_dest_check=enabled)

    def set_running(self, eni_id: str, *, running: bool) -> None:
        """StartInstances, StopInstances: the ENI keeps its private addresses."""
        self._enis[eni_id] = replace(self._eni(eni_id), running=running)

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
        for address in eni.delivered:
            pool.take(address)
        if eni.public_ip:
            self._public.take(eni.public_ip)
        self._attach(eni)

    def _attach(self, eni: Eni) -> None:
        self._enis[eni.id] = eni
        self._ids.setdefault(eni.instance, set()).add(eni.id)

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

    def _release(self, eni: Eni, addresses: Iterable[IPv4Address]) -> None:
        pool = self._pool(eni.vpc, eni.subnet)
        for address in addresses:
            pool.release(address)

    def _check_attachment(self, wanted: InterfaceSpecification) -> None:
        attached = self.attached(wanted.instance)
        instance_type = self._instance_types.get(wanted.instance, "")
        indexes = [eni.device_index for eni in attached]
        refusals.check_attachment(wanted.instance, wanted.device_index, indexes, instance_type)
        for eni in attached[:1]:
            zones = (self._zone(eni.vpc, eni.subnet), self._zone(wanted.vpc, wanted.subnet))
            refusals.check_zone(wanted.instance, *zones)

    def _zone(self, vpc: str, subnet: str) -> str:
        return self._subnets[vpc, subnet].availability_zone


def _taken(
    pool: AddressPool, wanted: InterfaceSpecification
) -> tuple[tuple[IPv4Address, ...], tuple[IPv4Network, ...]]:
    """All addresses and prefixes of a new ENI, or none."""
    if wanted.private_ip:
        refusals.check_creatable(pool, wanted.private_ip)
        pool.take(wanted.private_ip)
    own = (wanted.private_ip,) if wanted.private_ip else ()
    singles = 1 - len(own) + wanted.secondary_count
    prefixes: tuple[IPv4Network, ...] = ()
    try:
        refusals.check_room(pool, singles)
        prefixes = refusals.take_prefixes(pool, wanted.prefix_count)
        refusals.check_room(pool, singles)
    except AwsError:
        for address in (*own, *addresses_of(prefixes)):
            pool.release(address)
        raise
    return (*own, *pool.take_lowest(singles)), prefixes


def _eni_id(instance: str, device_index: int) -> str:
    """The same instance and index are the same ENI, whenever it was made."""
    return f"eni-{names.digest('eni', instance, str(device_index), length=17)}"
