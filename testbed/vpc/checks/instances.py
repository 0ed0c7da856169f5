"""What EC2 would refuse of instances, nodes and bare ones; paths start at their owner."""

from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Protocol

from testbed.description.problem import Path, Problem, Problems, quoted, unknown
from testbed.errors import DescriptionError
from testbed.vpc.addresses import reserved
from testbed.vpc.instance_types import limits
from testbed.vpc.model import Subnet, Vpc
from testbed.vpc.security.checks import interface_problems
from testbed.vpc.security.model import DEFAULT


class Instance(Protocol):
    """What nodes and bare instances have in common."""

    @property
    def name(self) -> str:
        """Its namespace in the lab."""

    @property
    def subnet(self) -> str:
        """Where its first network interface is."""

    @property
    def instance_type(self) -> str:
        """Its type, which limits its network interfaces."""

    @property
    def private_ip(self) -> IPv4Address | None:
        """The address it asks for."""

    @property
    def security_groups(self) -> tuple[str, ...]:
        """Of its network interfaces."""


def problems(key: str, instances: Iterable[Instance], vpc: Vpc, group: str = DEFAULT) -> Problems:
    """Everything wrong with where instances are, their types, addresses and security groups.

    key: of the owner, which has them: `nodes`, `instances`.  group: the one that they have where
    they name none.
    """
    subnets = {subnet.name: subnet for subnet in vpc.subnets}
    taken: dict[tuple[str, IPv4Address], str] = {}
    for one in instances:
        for problem in (*_instance(one, subnets), *_twice(one, taken)):
            yield problem.under(key, one.name)
        for problem in interface_problems(one.security_groups, vpc, (group,)):
            yield problem.under(key, one.name, "securityGroups")


def _instance(instance: Instance, subnets: dict[str, Subnet]) -> Problems:
    if instance.subnet not in subnets:
        message = unknown("subnet", instance.subnet, subnets)
        yield Problem(("subnet",), message, "InvalidSubnetID.NotFound")
    elif instance.private_ip:
        yield from _private_ip(instance.private_ip, subnets[instance.subnet])
    try:
        limits(instance.instance_type)
    except DescriptionError as error:
        yield Problem(("instanceType",), error.message, "InvalidParameterValue")


def _private_ip(address: IPv4Address, subnet: Subnet, key: Path = ("privateIp",)) -> Problems:
    """EC2's own words: they end up in many a search box."""
    if address not in subnet.cidr:
        message = (
            f"Address {address} does not fall within the subnet's address range:"
            f" {quoted(subnet.name)} is {subnet.cidr}"
        )
        yield Problem(key, message, "InvalidParameterValue")
    elif address in reserved(subnet.cidr):
        message = (
            f"Address {address} is in subnet's reserved address range: of {subnet.cidr}"
            " the first four and the last"
        )
        yield Problem(key, message, "InvalidParameterValue")


def secondary_problems(vpc: Vpc) -> Problems:
    """Everything wrong with the secondary addresses of bare instances; paths start at the VPC."""
    subnets = {subnet.name: subnet for subnet in vpc.subnets}
    taken = {one.private_ip: one.name for one in vpc.instances if one.private_ip}
    for one in vpc.instances:
        path: Path = ("instances", one.name, "secondaryPrivateIps")
        for i, address in enumerate(one.secondary_private_ips):
            if one.subnet in subnets:
                yield from _private_ip(address, subnets[one.subnet], (*path, i))
            if address in taken:
                message = f"[{address}] assigned, but move is not allowed: {taken[address]} has it"
                yield Problem((*path, i), message, "InvalidParameterValue")
            taken.setdefault(address, one.name)
        if one.secondary_private_ips:
            yield from _slots(one.instance_type, 1 + len(one.secondary_private_ips), path)


def _slots(instance_type: str, count: int, path: Path) -> Problems:
    try:
        most = limits(instance_type).ipv4_per_eni
    except DescriptionError:
        return  # a problem of its own
    if count > most:
        message = (
            f"Number of private addresses will exceed limit. An interface of {instance_type} has"
            f" at most {most}, the primary one among them"
        )
        yield Problem(path, message, "PrivateIpAddressLimitExceeded")


def _twice(instance: Instance, taken: dict[tuple[str, IPv4Address], str]) -> Problems:
    """An address that an earlier one asked for; `taken` collects them."""
    if instance.private_ip:
        owner = taken.setdefault((instance.subnet, instance.private_ip), instance.name)
        if owner != instance.name:
            message = f"Address {instance.private_ip} is in use: {quoted(owner)} has it"
            yield Problem(("privateIp",), message, "InvalidIPAddress.InUse")
