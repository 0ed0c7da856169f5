"""Table local, and the address a namespace sends with: both follow from its addresses.

Sources: Linux net/ipv4/fib_frontend.c (fib_add_ifaddr), net/ipv4/devinet.c (inet_select_addr).
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Interface, IPv4Network

from testbed.net.facts import LOCAL, Address, Netns, Route

LOOPBACK = "lo"
LOOPBACK_ADDRESS = IPv4Interface("127.0.0.1/8")
WITHOUT_BROADCAST = 31  # RFC 3021: a prefix of two addresses has none


def loopback_address(netns: Netns) -> Address:
    """What `lo` gets by itself when it is set up."""
    return Address(ns=netns.ns, dev=LOOPBACK, ip=LOOPBACK_ADDRESS, why="the loopback's own")


def local_routes(
    addresses: Iterable[Address], down: frozenset[str] = frozenset()
) -> Iterator[Route]:
    """What the kernel puts into table local for each address.

    local 10.0.1.4 dev eth0 proto kernel scope host src 10.0.1.4
    broadcast 10.0.1.255 dev eth0 proto kernel scope link src 10.0.1.4

    The loopback's whole subnet is local.  An address stays local when its device is down.
    """
    for address in _in_order(addresses):
        ip, network = address.ip.ip, address.ip.network
        yield _route(address, IPv4Network(int(ip)), "local")
        if address.dev in down:
            continue
        if address.dev == LOOPBACK and network.prefixlen < network.max_prefixlen:
            yield _route(address, IPv4Network(str(network)), "local")
        if network.prefixlen < WITHOUT_BROADCAST:
            yield _route(address, IPv4Network(int(network.broadcast_address)), "broadcast")


def _route(address: Address, dst: IPv4Network, kind: str) -> Route:
    return Route(
        ns=address.ns,
        table=LOCAL,
        dst=dst,
        kind=kind,
        dev=address.dev,
        src=address.ip.ip,
        scope="host" if kind == "local" else "link",
        protocol="kernel",
        why=address.why,
    )


def _in_order(addresses: Iterable[Address]) -> list[Address]:
    """IPv4 addresses as they are written: by device, ascending; the loopback's own before."""
    ipv4 = (address for address in addresses if address.ip.version == 4)
    return sorted(ipv4, key=lambda one: (not one.ip.is_loopback, one.dev, int(one.ip.ip)))


class OwnAddresses:
    """The addresses a namespace can send with (state: an index by device).

    all: every one, as numbers.
    """

    def __init__(self, addresses: Iterable[Address]) -> None:
        self._devices: dict[str, list[tuple[int, int, int]]] = {}
        self._scoped: list[int] = []
        self.all: set[int] = set()
        networks: set[tuple[str, object]] = set()
        # lo is a namespace's first device
        for address in sorted(_in_order(addresses), key=lambda one: one.dev != LOOPBACK):
            number = int(address.ip.ip)
            self.all.add(number)
            if (address.dev, address.ip.network) in networks or address.ip.is_loopback:
                continue  # a secondary address, or one of scope host
            networks.add((address.dev, address.ip.network))
            mask = int(address.ip.network.netmask)
            self._devices.setdefault(address.dev, []).append((number, number & mask, mask))
            self._scoped.append(number)

    def of(self, dev: str) -> bool:
        """Whether a device has an address at all."""
        return dev in self._devices

    def select(self, dev: str, next_hop: int) -> int:
        """The device's address in the next hop's subnet, else its first, else another device's.

        0 where there is none.
        """
        own = self._devices.get(dev, ())
        for number, network, mask in own:
            if next_hop & mask == network:
                return number
        if own:
            return own[0][0]
        return self._scoped[0] if self._scoped else 0
