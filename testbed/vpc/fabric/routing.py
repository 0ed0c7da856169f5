"""The VPC router's policy: a routing table per route table, one more with every address.

    50:     from all fwmark 0x1/0x1 lookup 1000      same subnet: no route table
    100:    from all iif private-a lookup 2          each subnet's route table
    200:    from all lookup 1000                     the address's ENI, or silence

A rule per subnet by name, not a mark per route table: `ip rule` in the router then reads like the
console's associations, and the kernel answers route queries without being told a mark.  A VPC of
the labs has a dozen subnets, so the longer walk does not show.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network

from testbed.net.facts import ANYWHERE, Fact, Route, Rule
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.eni import nat_netns
from testbed.vpc.model import BLACKHOLE, INTERNET_GATEWAY, PROPAGATION, RouteEntry, Subnet, Vpc
from testbed.vpc.naming import (
    ADDRESSES,
    bridge,
    gateway_address,
    route_tables,
    router,
    table_numbers,
)

SAME_SUBNET, ASSOCIATION, MAPPING = 50, 100, 200  # priorities
LIFTED = 0x1  # the bit of the packet mark for what came for an ENI of its own subnet
GATEWAY_DEVICE = "igw"  # the router's link to the internet gateway
ROUTER_SIDE = IPv4Address("169.254.255.1")  # next hops of that link; neither end has an address
GATEWAY_SIDE = IPv4Address("169.254.255.2")
# Metrics: of routes to one range a static one comes first, then a prefix list's, then a propagated
OF_PREFIX_LIST, PROPAGATED = 50, 100

Hop = tuple[IPv4Address, str]  # a next hop, and the router's device it is on


def host(address: IPv4Address) -> IPv4Network:
    """The address as a network of one."""
    return IPv4Network(int(address))  # from a number: three times faster


def address_route(ns: str, subnet: Subnet, eni: Eni, address: IPv4Address, why: str) -> Route:
    """Where an assigned address is: in the subnet, by way of the ENI that has it.

    10.0.1.4 dev private-a scope link src 10.0.1.1                the ENI's primary address
    10.0.1.5 via 10.0.1.4 dev private-a src 10.0.1.1 onlink       another one of it

    `src` makes the subnet's router the sender of ICMP.
    """
    primary = address == eni.primary
    return Route(
        ns=ns,
        table=ADDRESSES,
        dst=host(address),
        via=None if primary else eni.primary,
        dev=bridge(subnet),
        scope="link" if primary else "global",
        src=gateway_address(subnet),
        onlink=not primary,
        why=why,
    )


def stopped_facts(eni: Eni) -> Iterator[Route]:
    """The addresses of an ENI whose instance does not run: nobody else has them."""
    for address in eni.delivered:
        yield Route(
            ns=router(eni.vpc),
            table=ADDRESSES,
            dst=host(address),
            kind="blackhole",
            why=f"{eni.instance} is stopped, and its {eni.id} keeps {address}",
        )


def routing_facts(vpc: Vpc, enis: Iterable[Eni], around: Mapping[str, Hop]) -> Iterator[Fact]:
    """The router's rules and the VPC's route tables.

    around: where route targets are that are neither the VPC's own gateways nor ENIs.
    """
    ns, numbers = router(vpc.name), table_numbers(vpc)
    yield Rule(
        ns=ns,
        priority=SAME_SUBNET,
        fwmark=LIFTED,
        fwmask=LIFTED,
        table=ADDRESSES,
        why="traffic inside a subnet meets no route table",
    )
    for subnet in vpc.subnets:
        yield Rule(
            ns=ns,
            priority=ASSOCIATION,
            iif=bridge(subnet),
            table=numbers[subnet.route_table],
            why=f"subnet {subnet.name} is associated with route table {subnet.route_table}",
        )
    yield Rule(ns=ns, priority=MAPPING, table=ADDRESSES, why="local: the ENI that has the address")
    for network in (*vpc.cidrs, ANYWHERE):
        why = "an address that no ENI has: dropped in silence"
        if network == ANYWHERE:
            why = "outside the VPC, and the route table has no entry: dropped in silence"
        yield Route(ns=ns, table=ADDRESSES, dst=network, kind="blackhole", why=why)
    targets = Targets(vpc, enis, around)
    for table in route_tables(vpc):
        number = numbers[table.name]
        for network in vpc.cidrs:
            why = f"route table {table.name}: {network} is local"
            yield Route(ns=ns, table=number, dst=network, kind="throw", why=why)
        for entry in table.routes:
            why = f"route table {table.name}: {entry.destination} to {entry.target}"
            why += f" ({entry.origin})" if entry.origin else ""
            why += f" ({entry.prefix_list})" if entry.prefix_list else ""
            yield targets.route(ns, number, entry, why)


class Targets:
    """A VPC's route targets by the names topologies use; made once for all its tables."""

    def __init__(self, vpc: Vpc, enis: Iterable[Eni], around: Mapping[str, Hop]) -> None:
        subnets = {subnet.name: subnet for subnet in vpc.subnets}
        hops = dict(around) | {
            name: (eni.primary, bridge(subnets[eni.subnet]))
            for eni in enis
            for name in _names(eni)
        }
        for gateway in vpc.nat_gateways:
            hops[gateway.name] = hops[nat_netns(gateway.name)]
        if vpc.internet_gateway:
            hops[INTERNET_GATEWAY] = (GATEWAY_SIDE, GATEWAY_DEVICE)
        self._hops: Mapping[str, Hop] = hops

    def is_active(self, entry: RouteEntry) -> bool:
        """Whether the route has a target that is there; else AWS calls it `blackhole`."""
        return entry.target in self._hops

    def route(self, ns: str, table: int, entry: RouteEntry, why: str) -> Route:
        """One entry as the kernel's route; AWS's state `blackhole` is the kernel's too."""
        metric = PROPAGATED if entry.origin == PROPAGATION else 0
        metric = OF_PREFIX_LIST if entry.prefix_list else metric
        hop = self._hops.get(entry.target)
        if hop is None:  # the target `blackhole`, or one that is gone
            why += "" if entry.target == BLACKHOLE else ", which is gone"
            to = entry.destination
            return Route(ns=ns, table=table, dst=to, kind="blackhole", metric=metric, why=why)
        via, dev = hop
        return Route(
            ns=ns,
            table=table,
            dst=entry.destination,
            via=via,
            dev=dev,
            metric=metric,
            onlink=True,
            why=why,
        )


def _names(eni: Eni) -> Iterator[str]:
    """`node-1/1` for any ENI, and the instance's name alone for its primary one."""
    yield f"{eni.instance}/{eni.device_index}"
    if eni.device_index == 0:
        yield eni.instance
