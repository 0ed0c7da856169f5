"""Amazon's own services of a VPC, DNS and instance metadata, reached whatever the routes.

A namespace of its own behind the VPC's router, where a real DNS server and the lab's own server of
metadata listen.
"""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from testbed.net.facts import ANYWHERE, Address, Fact, Netns, Route, Rule
from testbed.net.served import metadata
from testbed.net.served.endpoints import Listener
from testbed.net.served.metadata import InstanceMetadata
from testbed.vpc.checks.routes import SERVICES_RANGE
from testbed.vpc.fabric.frames import GATEWAY_MAC, MACS, SERVICES, element
from testbed.vpc.fabric.namespaces import end_system, link
from testbed.vpc.fabric.routing import host
from testbed.vpc.fabric.subnets import JUMBO
from testbed.vpc.model import Vpc
from testbed.vpc.naming import ADDRESSES, RESOLVER_DEVICE, resolver, router

DNS_ADDRESS = IPv4Address("169.254.169.253")  # VPC User Guide, "Amazon DNS server"
BEFORE_ROUTE_TABLES = 90  # the priority of the router's rule, before routing.ASSOCIATION
INSIDE = "vpc"  # the resolver's own
ROUTER_SIDE = IPv4Address("169.254.255.5")  # next hops of that link
RESOLVER_SIDE = IPv4Address("169.254.255.6")
CLUSTERS = IPv4Address("169.254.171.1")  # in a part of that range where AWS has no service


def resolver_address(vpc: Vpc) -> IPv4Address:
    """The base of the VPC's first range plus two (VPC User Guide, "Amazon DNS server")."""
    return vpc.cidrs[0][2]


def cluster_servers(clusters: Sequence[str]) -> dict[str, IPv4Address]:
    """By name the address of a cluster's own DNS server, where several are in one VPC.

    All have the domain cluster.local; one alone is answered by the VPC's server.
    """
    alone = len(clusters) == 1
    return {} if alone else {cluster: CLUSTERS + i for i, cluster in enumerate(clusters)}


def link_local_services(vpc: Vpc, clusters: Sequence[str] = ()) -> dict[IPv4Address, str]:
    """The addresses that Amazon itself answers on, for every instance, and what they are.

    clusters: those of the VPC; where they have DNS servers of their own, these are here too.
    """
    own = {ip: f"the DNS of {name}" for name, ip in cluster_servers(clusters).items()}
    servers = {
        resolver_address(vpc): "base plus two is the VPC's DNS server",
        DNS_ADDRESS: "the VPC's DNS server, for every VPC alike",
    }
    return {
        **(servers if vpc.enable_dns_support else {}),
        metadata.ADDRESS: "the instance metadata service",
        **own,
    }


def resolver_facts(vpc: Vpc, clusters: Sequence[str] = ()) -> Iterator[Fact]:
    """The namespace of Amazon's services, and the router's way to them.

    clusters: those of the VPC.

    In the router:   90:  from all to 10.0.0.2 lookup 1000
                     90:  from all to 169.254.168.0/22 lookup 1000
                     ip route show table 1000:  10.0.0.2 via 169.254.255.6 dev dns onlink
                                                blackhole 169.254.168.0/22
    """
    ns, place = resolver(vpc.name), router(vpc.name)
    yield Netns(ns=ns, why=f"DNS server and instance metadata of VPC {vpc.name}")
    yield from end_system(ns)
    near, far = (place, RESOLVER_DEVICE, ROUTER_SIDE), (ns, INSIDE, RESOLVER_SIDE)
    yield from link(near, far, JUMBO, "router to DNS server and instance metadata")
    yield Route(
        ns=ns, dst=ANYWHERE, via=ROUTER_SIDE, dev=INSIDE, onlink=True, why="back into the VPC"
    )
    yield _before_route_tables(place, SERVICES_RANGE)
    why = "none of Amazon's services is there, and no route leads into their range"
    yield Route(ns=place, table=ADDRESSES, dst=SERVICES_RANGE, kind="blackhole", why=why)
    for address, why in link_local_services(vpc, clusters).items():
        yield Address(ns=ns, dev=INSIDE, ip=IPv4Interface(host(address)), why=why)
        yield from _way_to(vpc, address, why)


def _way_to(vpc: Vpc, address: IPv4Address, why: str) -> Iterator[Fact]:
    """The router's route, before any of the route tables, and its answer to ARP."""
    place = router(vpc.name)
    yield element(place, SERVICES, str(address), why=why)
    yield element(place, MACS, str(address), GATEWAY_MAC, why=f"{why}, and is routed to")
    yield Route(
        ns=place,
        table=ADDRESSES,
        dst=host(address),
        via=RESOLVER_SIDE,
        dev=RESOLVER_DEVICE,
        onlink=True,
        why=why,
    )
    if address not in SERVICES_RANGE:
        yield _before_route_tables(place, host(address))


def _before_route_tables(place: str, to: IPv4Network) -> Rule:
    why = "no route table can keep an instance from Amazon's services"
    return Rule(ns=place, priority=BEFORE_ROUTE_TABLES, dst=to, table=ADDRESSES, why=why)


def metadata_listener(vpc: Vpc, instances: Iterable[InstanceMetadata]) -> Listener:
    """The instance metadata service of a VPC."""
    ns = resolver(vpc.name)
    return Listener(
        netns=ns,
        port=metadata.PORT,
        protocol="imds",
        pod="imds",
        node=ns,
        address=metadata.ADDRESS,
        metadata=tuple(instances),
    )
