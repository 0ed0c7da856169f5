"""An EC2 that has no addresses but counts: to ask ipamD what it would do."""

from ipaddress import IPv4Address, IPv4Network

from testbed.eks.ipamd.datastore.store import PoolEni, add
from testbed.eks.ipamd.decisions import (
    Assign,
    AssignPrefixes,
    AttachEni,
    FreeEni,
    Granted,
    Unassign,
)
from testbed.errors import AwsError
from testbed.vpc.prefixes import PREFIX_LENGTH, PREFIX_SIZE

NEW = "new"  # the id of the ENI it attaches
LAST_INDEX = 1 << 16  # of that ENI: behind all others


class Grants:
    """Grants as many addresses as the subnet has left; without a number, all that is asked for.

    It has state: what was granted is gone.  Its addresses are numbers from 0.0.0.0.
    """

    def __init__(self, free: int | None) -> None:
        self._free = free
        self._next = 0

    def assign(self, request: Assign) -> Granted:
        """Addresses or prefixes that nobody has.  Raises AwsError: the subnet has too few."""
        if isinstance(request, AssignPrefixes):
            return self._prefixes(request.count)
        return self._addresses(request.count)

    def attach(self, request: AttachEni) -> PoolEni:
        """An ENI, which takes an address for itself.  Raises AwsError."""
        self._take(1 + request.addresses, "InsufficientFreeAddressesInSubnet")
        given: Granted = (
            *self._addresses(request.addresses, taken=True),
            *self._prefixes(request.prefixes),
        )
        return add(PoolEni(NEW, LAST_INDEX), given)

    def unassign(self, request: Unassign) -> None:
        """Addresses and prefixes that are free again; a pass asks for none after that."""

    def free(self, request: FreeEni) -> None:
        """An ENI less."""

    def _addresses(self, count: int, *, taken: bool = False) -> tuple[IPv4Address, ...]:
        if not taken:
            self._take(count, "InsufficientFreeAddressesInSubnet")
        first, self._next = self._next, self._next + count
        return tuple(IPv4Address(first + i) for i in range(count))

    def _prefixes(self, count: int) -> tuple[IPv4Network, ...]:
        self._take(count * PREFIX_SIZE, "InsufficientCidrBlocks")
        first = -(-self._next // PREFIX_SIZE) * PREFIX_SIZE
        self._next = first + count * PREFIX_SIZE
        return tuple(IPv4Network((first + i * PREFIX_SIZE, PREFIX_LENGTH)) for i in range(count))

    def _take(self, count: int, code: str) -> None:
        if self._free is not None and count > self._free:
            raise AwsError(code, f"{self._free} addresses are free")
        self._free = None if self._free is None else self._free - count
