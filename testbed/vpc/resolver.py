"""The Amazon-provided DNS server of a VPC: its instances reach it whatever their routes.

A namespace of its own, where a real DNS server listens, behind the VPC's router.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface

from testbed.net.facts import ANYWHERE, Address, Fact, Neighbour, Netns, Route, Rule
from testbed.vpc.fabric import GATEWAY_MAC, JUMBO
from testbed.vpc.gateways import end_system, link
from testbed.vpc.model import Vpc
from testbed.vpc.naming import ADDRESSES, RESOLVER_DEVICE, bridge, resolver, router
from testbed.vpc.routing import host

BEFORE_ROUTE_TABLES = 90  # the priority of the router's rule, before routing.ASSOCIATION
INSIDE = "vpc"  # the resolver's own
ROUTER_SIDE = IPv4Address("169.254.255.5")  # next hops of that link
RESOLVER_SIDE = IPv4Address("169.254.255.6")


def resolver_address(vpc: Vpc) -> IPv4Address:
    """The base of the VPC's first range plus two (VPC User Guide, "Amazon DNS server")."""
    return vpc.cidrs[0][2]


def resolver_facts(vpc: Vpc) -> Iterator[Fact]:
    """The resolver's namespace, and the router's way to it.

    In the router:   90:  from all to 10.0.0.2 lookup 1000
                     ip route show table 1000:  10.0.0.2 via 169.254.255.6 dev dns onlink
    """
    ns, place, address = resolver(vpc.name), router(vpc.name), resolver_address(vpc)
    yield Netns(ns=ns, why=f"the Amazon-provided DNS server of VPC {vpc.name}")
    yield from end_system(ns)
    near, far = (place, RESOLVER_DEVICE, ROUTER_SIDE), (ns, INSIDE, RESOLVER_SIDE)
    yield from link(near, far, JUMBO, "router to DNS server")
    why = "base plus two is the VPC's DNS server"
    yield Address(ns=ns, dev=INSIDE, ip=IPv4Interface(host(address)), why=why)
    yield Route(
        ns=ns, dst=ANYWHERE, via=ROUTER_SIDE, dev=INSIDE, onlink=True, why="back into the VPC"
    )
    yield Route(
        ns=place,
        table=ADDRESSES,
        dst=host(address),
        via=RESOLVER_SIDE,
        dev=RESOLVER_DEVICE,
        onlink=True,
        why=why,
    )
    yield Rule(
        ns=place,
        priority=BEFORE_ROUTE_TABLES,
        dst=host(address),
        table=ADDRESSES,
        why="no route table can keep an instance from its DNS server",
    )
    for subnet in vpc.subnets:
        if address in subnet.cidr:
            yield Neighbour(
                ns=place,
                dev=bridge(subnet),
                ip=address,
                mac=GATEWAY_MAC,
                why="the bridge answers ARP for the DNS server; frames for it are routed",
            )
