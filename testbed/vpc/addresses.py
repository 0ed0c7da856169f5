"""A range's addresses: the ones AWS keeps for itself, and a pool that hands out the others."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

FIRST_ASSIGNABLE = 4  # base: network; +1: router; +2: DNS; +3: future use (VPC User Guide)
RESERVED = 5  # those four and the last one, broadcast, which a VPC does not have


def reserved(cidr: IPv4Network) -> frozenset[IPv4Address]:
    """The five addresses of a subnet that no ENI can have."""
    first = [cidr.network_address + i for i in range(FIRST_ASSIGNABLE)]
    return frozenset([*first, cidr.broadcast_address])


def free_addresses(cidr: IPv4Network) -> int:
    """How many addresses of a subnet can be assigned as long as nobody has any."""
    return cidr.num_addresses - RESERVED


class AddressPool:
    """The assignable addresses of one range, the lowest free one first.

    It has state for one allocation run: counting on from the lowest address that may be free keeps
    a /16 as cheap as a /28, where a frozen value would be searched from its start each time.
    """

    def __init__(self, cidr: IPv4Network, spared: Iterable[IPv4Address] = ()) -> None:
        """spared: those that only who asks for them by name is given (CIDR reservations)."""
        self.cidr = cidr
        self._spared = frozenset(map(int, spared))
        self._first = int(cidr.network_address) + FIRST_ASSIGNABLE
        self._last = int(cidr.broadcast_address) - 1
        self._lowest = self._first  # below it nothing is free
        self._taken: set[int] = set()

    @property
    def free(self) -> int:
        """How many addresses can still be handed out."""
        spared = sum(number not in self._taken for number in self._spared)
        return free_addresses(self.cidr) - len(self._taken) - spared

    def holds(self, address: IPv4Address) -> bool:
        """Whether somebody has the address."""
        return int(address) in self._taken

    def take(self, address: IPv4Address) -> None:
        """Hand out this address, which is free."""
        self._taken.add(int(address))

    def take_lowest(self, count: int) -> tuple[IPv4Address, ...]:
        """Hand out the `count` lowest free addresses; the caller asked `free` before."""
        found: list[int] = []
        number = self._lowest
        while len(found) < count and number <= self._last:
            if number not in self._taken and number not in self._spared:
                found.append(number)
            number += 1
        self._taken.update(found)
        self._lowest = number
        return tuple(IPv4Address(number) for number in found)

    def take_lowest_blocks(self, count: int, length: int) -> tuple[IPv4Network, ...]:
        """Hand out the `count` lowest aligned blocks of /`length` that are free; none if fewer."""
        kept, size = reserved(self.cidr), 2 ** (32 - length)
        taken = self._taken | self._spared
        found: list[IPv4Network] = []
        number = self._lowest - self._lowest % size
        while len(found) < count and number + size - 1 <= self._last + 1:
            block = range(number, number + size)
            if taken.isdisjoint(block) and kept.isdisjoint(map(IPv4Address, block)):
                found.append(IPv4Network((number, length)))
            number += size
        if len(found) < count:
            return ()
        for given in found:
            self._taken.update(map(int, given))
        return tuple(found)

    def release(self, address: IPv4Address) -> None:
        """Take the address back; it is the next one handed out if none below it is free."""
        self._taken.discard(int(address))
        self._lowest = min(self._lowest, int(address))
