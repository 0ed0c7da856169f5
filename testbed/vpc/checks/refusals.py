"""What EC2 refuses about addresses and ENIs, in its own words and with its own codes."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

from testbed.errors import AwsError
from testbed.vpc.addresses import AddressPool, reserved
from testbed.vpc.instance_types import limits
from testbed.vpc.prefixes import PREFIX_LENGTH

FREE_FOR_BALANCERS = 8  # addresses (Elastic Load Balancing, "Subnets for your load balancer")


def check_attachment(
    instance: str, device_index: int, attached: Sequence[int], instance_type: str
) -> None:
    """One more ENI for an instance.

    attached: the device indexes it has.  instance_type: empty sets no limit.
    """
    if device_index in attached:
        raise AwsError(
            "InvalidParameterValue",
            f"Instance '{instance}' already has an interface attached at device index "
            f"'{device_index}'.",
        )
    if instance_type and len(attached) >= limits(instance_type).enis:
        message = f"Interface count {len(attached) + 1} exceeds the limit for {instance_type}"
        raise AwsError("AttachmentLimitExceeded", message)


def check_zone(instance: str, zone: str, subnet_zone: str) -> None:
    """An ENI and its instance are in one availability zone (EC2 User Guide).

    AWS's words for it are not known to us.
    """
    if zone != subnet_zone:
        message = f"the interface is in {subnet_zone}, its instance '{instance}' in {zone}"
        raise AwsError("InvalidParameterValue", message)


def check_slots(instance_type: str, count: int) -> None:
    """Addresses and prefixes of one ENI; an empty type sets no limit."""
    if instance_type and count > limits(instance_type).ipv4_per_eni:
        message = "Number of private addresses will exceed limit."
        raise AwsError("PrivateIpAddressLimitExceeded", message)


def check_creatable(pool: AddressPool, address: IPv4Address) -> None:
    """An ENI's primary address that was asked for."""
    check_inside(pool.cidr, address)
    if pool.holds(address):
        # RunInstances' text; CreateNetworkInterface says only "The specified address is …"
        raise AwsError("InvalidIPAddress.InUse", f"Address {address} is in use.")


def check_assignable(pool: AddressPool, address: IPv4Address) -> None:
    """A secondary address that was asked for."""
    check_inside(pool.cidr, address)
    if pool.holds(address):
        message = f"[{address}] assigned, but move is not allowed."
        raise AwsError("InvalidParameterValue", message)


def check_inside(cidr: IPv4Network, address: IPv4Address) -> None:
    """An address of the subnet that AWS does not keep for itself."""
    if address not in cidr:
        message = f"Address {address} does not fall within the subnet's address range"
        raise AwsError("InvalidParameterValue", message)
    if address in reserved(cidr):
        message = f"Address {address} is in subnet's reserved address range"
        raise AwsError("InvalidParameterValue", message)


def check_room(pool: AddressPool, count: int) -> None:
    """So many single addresses of a subnet."""
    if count > pool.free:
        raise AwsError(
            "InsufficientFreeAddressesInSubnet",
            "The specified subnet does not have enough free addresses to satisfy the request.",
        )


def check_room_for_balancer(pool: AddressPool, subnet: str) -> None:
    """A load balancer in a subnet: ELB's own refusal."""
    if pool.free < FREE_FOR_BALANCERS:
        raise AwsError(
            "InvalidSubnet",
            f"Not enough IP space available in {subnet}. ELB requires at least"
            f" {FREE_FOR_BALANCERS} free IP addresses in each subnet.",
        )


def take_prefixes(pool: AddressPool, count: int) -> tuple[IPv4Network, ...]:
    """So many prefixes of a subnet, all or none; scattered addresses leave no aligned block."""
    given = pool.take_lowest_blocks(count, PREFIX_LENGTH)
    if len(given) < count:
        raise AwsError(
            "InsufficientCidrBlocks",
            "The specified subnet does not have enough free cidr blocks to satisfy the request.",
        )
    return given


def check_given(eni_id: str, gone: frozenset[object], theirs: frozenset[object]) -> None:
    """Addresses or prefixes to take back from an ENI."""
    if not gone <= theirs:
        message = f"Some of the specified addresses are not assigned to interface {eni_id}"
        raise AwsError("InvalidParameterValue", message)
