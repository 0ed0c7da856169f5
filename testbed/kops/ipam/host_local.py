"""host-local's choice of addresses for the pods of one node (containernetworking/plugins v0.7.5).

The plugin keeps a file for each address it gave, and `last_reserved_ip.0`; here both are a value,
and `files` is how the plugin spells it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from itertools import chain

LAST_RESERVED = "last_reserved_ip.0"  # the last digit: which range set; kubenet has one
LOCK = "lock"  # held with flock(2) while an address is chosen or given back


@dataclass(frozen=True)
class Store:
    """What host-local remembers of a range: the addresses in use, and the last one it gave."""

    cidr: IPv4Network
    last_reserved: IPv4Address | None = None
    reserved: frozenset[IPv4Address] = frozenset()


def gateway(cidr: IPv4Network) -> IPv4Address:
    """The range's first address, which no pod gets: kubenet gives it to cbr0."""
    return cidr[1]


def next_address(store: Store) -> IPv4Address | None:
    """The address the next pod gets; none when all are in use.

    The one after the last that was given, round and round: an address that was freed comes again
    only after all others.
    """
    return next((ip for ip in _candidates(store) if ip not in store.reserved), None)


def with_reserved(store: Store, address: IPv4Address) -> Store:
    """The store after it gave an address.  One that is freed does not change `last_reserved`."""
    return replace(store, last_reserved=address, reserved=store.reserved | {address})


def files(store: Store, containers: Mapping[IPv4Address, str]) -> dict[str, str]:
    """What the plugin has in its network's directory, by file name: what it goes on from.

    containers: who holds each address in use.

        100.96.1.2          4f1bb2…      v0.7.5: the id alone; what came later reads that too
        last_reserved_ip.0  100.96.1.2
        lock
    """
    held = {str(ip): containers[ip] for ip in store.reserved}
    last = {LAST_RESERVED: str(store.last_reserved)} if store.last_reserved else {}
    return held | last | {LOCK: ""}


def full(cidr: IPv4Network) -> str:
    """What host-local says when a range has no address left."""
    return f"no IP addresses available in range set: {cidr[1]}-{cidr[-2]}"


def usable(cidr: IPv4Network, address: IPv4Address) -> bool:
    """Whether a pod can have the address: not the network's, cbr0's or the broadcast one."""
    return gateway(cidr) < address < cidr.broadcast_address


def _candidates(store: Store) -> Iterator[IPv4Address]:
    """All addresses pods can have, in the order in which they are tried."""
    first, last = int(gateway(store.cidr)) + 1, int(store.cidr.broadcast_address) - 1
    given = store.last_reserved  # one outside the range is as good as none
    start = int(given) + 1 if given and given in store.cidr else first
    numbers = chain(range(max(start, first), last + 1), range(first, min(start, last + 1)))
    yield from map(IPv4Address, numbers)
