"""Virtual private gateways: where VPN and Direct Connect connections end, beside a VPC.

What comes from a site is for an ENI of the VPC, or dies here: no site uses the VPC's internet
gateway, NAT gateways or peerings (Site-to-Site VPN User Guide).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from testbed.net import names
from testbed.net.facts import ChainRule, Fact, Netns, NftChain, NftElement, NftSet, Route
from testbed.networks.model import Connection, Site
from testbed.vpc.checks.ranges import widest
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.namespaces import forwarding, link
from testbed.vpc.fabric.routing import Hop
from testbed.vpc.fabric.subnets import JUMBO, keep_ttl
from testbed.vpc.model import Vpc
from testbed.vpc.naming import private_gateway, router

DEVICE = "vgw"  # the router's link to the gateway
INSIDE = "vpc"  # the gateway's own
ROUTER_SIDE = IPv4Address("169.254.255.9")  # next hops of that link; neither end has an address
INNER_SIDE = IPv4Address("169.254.255.10")
HOP: Hop = (INNER_SIDE, DEVICE)
AWS_SIDE = IPv4Address("169.254.255.11")  # next hops of a connection
SITE_SIDE = IPv4Address("169.254.255.12")
FAMILY, TABLE = "ip", "vgw"

# The smaller is preferred among connections that announce the same range (VPC User Guide, "How
# route priority works"): Direct Connect, then VPN with static routes, then VPN with BGP.
PREFERENCE = {("direct-connect", "bgp"): 100, ("vpn", "static"): 200, ("vpn", "bgp"): 300}


@dataclass(frozen=True)
class Learned:
    """A range that a site announces by a connection.  metric: the smaller is preferred."""

    destination: IPv4Network
    site: Site
    connection: Connection
    metric: int


def device(site: Site, connection: Connection) -> str:
    """The gateway's end of a connection: `office-vpn`."""
    return names.device(f"{site.name}-{connection.name}")


def kind(connection: Connection) -> tuple[str, str]:
    """Type and routing; Direct Connect has BGP always."""
    routing = "bgp" if connection.type == "direct-connect" else connection.routing
    return connection.type, routing


def metric(connections: Iterable[Connection], one: Connection) -> int:
    """How little a connection is preferred among all of a gateway or site: see PREFERENCE.

    Of two of a kind the first is taken.
    """
    alike = [other for other in connections if kind(other) == kind(one)]
    return PREFERENCE[kind(one)] + alike.index(one)


def announced(site: Site, connection: Connection) -> tuple[IPv4Network, ...]:
    """The ranges a site announces by a connection."""
    return site.cidrs if connection.routes is None else connection.routes


def attached(vpc: str, sites: Iterable[Site]) -> tuple[tuple[Site, Connection], ...]:
    """The connections that work and end at a VPC's gateway."""
    return tuple(
        (site, one) for site in sites for one in site.connections if one.gateway == vpc and one.up
    )


def learned(vpc: str, sites: Iterable[Site]) -> tuple[Learned, ...]:
    """All that is announced to a VPC's gateway."""
    ends = attached(vpc, sites)
    connections = [one for _, one in ends]
    return tuple(
        Learned(to, site, one, metric(connections, one))
        for site, one in ends
        for to in announced(site, one)
    )


def private_gateway_facts(vpc: Vpc, sites: Iterable[Site], enis: Iterable[Eni]) -> Iterator[Fact]:
    """The gateway's namespace, its way into the VPC, and to each range it has learned.

    ip route:  10.0.0.0/16 via 169.254.255.9 dev vpc onlink
               192.168.0.0/16 via 169.254.255.12 dev office-dx metric 100 onlink
               192.168.0.0/16 via 169.254.255.12 dev office-vpn metric 300 onlink
    """
    ns, sites = private_gateway(vpc.name), tuple(sites)
    yield Netns(ns=ns, why=f"the virtual private gateway of VPC {vpc.name}")
    yield from forwarding(ns)
    if vpc.virtual_private_gateway and not vpc.virtual_private_gateway.decrements_ttl:
        yield from keep_ttl(ns)
    near, far = (router(vpc.name), DEVICE, ROUTER_SIDE), (ns, INSIDE, INNER_SIDE)
    yield from link(near, far, JUMBO, "router to virtual private gateway")
    for network in vpc.cidrs:
        why = "into the VPC"
        yield Route(ns=ns, dst=network, via=ROUTER_SIDE, dev=INSIDE, onlink=True, why=why)
    for one in learned(vpc.name, sites):
        yield Route(
            ns=ns,
            dst=one.destination,
            via=SITE_SIDE,
            dev=device(one.site, one.connection),
            metric=one.metric,
            onlink=True,
            why=f"{one.site.name} announces it by {one.connection.name},"
            f" {' '.join(kind(one.connection))}",
        )
    yield from _checks(vpc, sites, enis)


def _checks(vpc: Vpc, sites: tuple[Site, ...], enis: Iterable[Eni]) -> Iterator[Fact]:
    ns = private_gateway(vpc.name)
    dynamic = [one for one in learned(vpc.name, sites) if kind(one.connection)[1] == "bgp"]
    addresses = [str(address) for eni in enis for address in eni.delivered]
    announced = list(map(str, widest(one.destination for one in dynamic)))
    for name, flags, elements, why in (
        ("assigned", "", addresses, "an address of an ENI of the VPC"),
        ("vpc", "interval", list(map(str, vpc.cidrs)), "a range of the VPC"),
        ("sites", "interval", announced, "announced by BGP"),
    ):
        yield NftSet(
            ns=ns, family=FAMILY, table=TABLE, name=name, key_type="ipv4_addr", flags=flags
        )
        for element in elements:
            yield NftElement(ns=ns, family=FAMILY, table=TABLE, set=name, element=element, why=why)
    for name, hook, rules in (
        ("prerouting", "type filter hook prerouting priority raw; policy accept;", CHECKS),
        ("input", "type filter hook input priority filter; policy drop;", ()),
        ("output", "type filter hook output priority filter; policy drop;", _said(vpc)),
    ):
        yield NftChain(ns=ns, family=FAMILY, table=TABLE, name=name, hook=hook, rules=rules)


def _said(vpc: Vpc) -> tuple[ChainRule, ...]:
    gateway = vpc.virtual_private_gateway
    if gateway is None or not gateway.path_mtu_discovery:
        return ()
    text = "icmp type destination-unreachable icmp code frag-needed accept"
    return (ChainRule(text, "the topology's pathMtuDiscovery"),)


CHECKS = (
    ChainRule(
        f'iifname "{INSIDE}" ip saddr != @assigned counter drop comment "source of no ENI"',
        "VGW_PRIVATE_IP_ASSOCIATION_FOR_EGRESS",
    ),
    ChainRule(f'iifname "{INSIDE}" accept', "from an ENI of the VPC"),
    ChainRule("ip daddr @assigned accept", "for an ENI of the VPC"),
    ChainRule(
        'ip daddr @vpc counter drop comment "destination of no ENI"',
        "VGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS",
    ),
    ChainRule(
        "ip daddr @sites accept",
        "from site to site (AWS VPN CloudHub: all of them announce by BGP)",
    ),
    ChainRule(
        'counter drop comment "edge to edge"',
        "no site uses the VPC's internet gateway, NAT gateways or peerings",
    ),
)
