"""Transit gateways: routers between VPCs and sites, with route tables of their own.

Unlike a peering they are transitive: what comes from one attachment goes out by another, and in a
VPC it meets the route table of the attachment's subnets, NAT gateways and all.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from testbed.net import names
from testbed.net.facts import (
    ANYWHERE,
    ChainRule,
    Fact,
    Netns,
    NftChain,
    NftElement,
    NftSet,
    Route,
    Rule,
)
from testbed.networks import private_gateway
from testbed.networks.model import Attachment, Site, TransitGateway
from testbed.vpc.fabric.namespaces import forwarding, link
from testbed.vpc.fabric.resolver import resolver_address
from testbed.vpc.fabric.routing import ASSOCIATION, Hop
from testbed.vpc.fabric.subnets import keep_ttl
from testbed.vpc.model import Vpc
from testbed.vpc.naming import bridge, router, table_numbers, transit_gateway

MTU = 8500  # bytes: Transit Gateway Guide, "Quotas"
DEFAULT = "default"  # the table of what says no other
NO_ROUTE = 1_000_000  # the metric of what stands for no route at all
# The smaller is preferred among equal ranges: static, a VPC's, Direct Connect, VPN (Transit
# Gateway Guide, "Route evaluation order").
STATIC, FROM_VPC = 0, 50
VPC_SIDE, INNER_SIDE = IPv4Address("169.254.255.15"), IPv4Address("169.254.255.16")
FAMILY, TABLE = "ip", "tgw"


@dataclass(frozen=True)
class _Entry:
    """A range, and by which of the gateway's links it is reached; empty for a blackhole."""

    destination: IPv4Network
    dev: str
    via: IPv4Address
    metric: int
    why: str


def device(gateway: str) -> str:
    """A VPC router's link to a transit gateway."""
    return names.device(transit_gateway(gateway))


def referenced(
    vpc: Vpc, gateways: Iterable[TransitGateway], vpcs: Mapping[str, Vpc]
) -> tuple[Vpc, ...]:
    """The VPCs whose groups the inbound rules of one may name through a transit gateway.

    Gateway and both attachments have to support it.  Source: EC2 API, TransitGatewayOptions and
    TransitGatewayVpcAttachmentOptions, SecurityGroupReferencingSupport.
    """
    found: dict[str, Vpc] = {}
    for gateway in gateways:
        able = {one.vpc for one in gateway.attachments if one.security_group_referencing_support}
        if gateway.security_group_referencing_support and vpc.name in able:
            found |= {name: vpcs[name] for name in able - {vpc.name} if name in vpcs}
    return tuple(found.values())


def inner_device(attachment: Attachment) -> str:
    """The transit gateway's link of an attachment."""
    return names.device(attachment.name)


def interface(gateway: str, attachment: Attachment, subnet: str) -> str:
    """What stands for an instance at the network interface of an attachment in a subnet."""
    return f"{transit_gateway(gateway)}.{attachment.name}.{subnet}"


def attachments(vpc: str, gateways: Iterable[TransitGateway]) -> Iterator[tuple[str, Attachment]]:
    """A VPC's attachments, each with its gateway's name."""
    for gateway in gateways:
        for attachment in gateway.attachments:
            if attachment.vpc == vpc:
                yield gateway.name, attachment


def hops(vpc: str, gateways: Iterable[TransitGateway]) -> Iterator[tuple[str, Hop]]:
    """Where a VPC's routes to its transit gateways lead."""
    for name, _ in attachments(vpc, gateways):
        yield name, (INNER_SIDE, device(name))


def route_tables(gateway: TransitGateway) -> tuple[str, ...]:
    """The names of a gateway's route tables, described or just used."""
    used = [name for one in gateway.attachments for name in (one.route_table, *one.propagate_to)]
    described = [table.name for table in gateway.route_tables]
    return tuple(dict.fromkeys([DEFAULT, *described, *used]))


def reachable(gateway: TransitGateway, vpcs: Mapping[str, Vpc]) -> tuple[IPv4Network, ...]:
    """What a site on the gateway is told of by BGP: the ranges of its table `default`."""
    entries = _entries(gateway, DEFAULT, vpcs, ())
    return tuple(dict.fromkeys(entry.destination for entry in entries if entry.dev))


def sources(
    vpc: str, gateways: Iterable[TransitGateway], vpcs: Mapping[str, Vpc], sites: Iterable[Site]
) -> frozenset[IPv4Network]:
    """The ranges whose packets may come into a VPC by its transit gateways."""
    sites, found = tuple(sites), set()
    for gateway in gateways:
        if any(one.vpc == vpc for one in gateway.attachments):
            found |= {cidr for one in gateway.attachments for cidr in vpcs[one.vpc].cidrs}
            found |= {one.destination for one in private_gateway.learned(gateway.name, sites)}
    return frozenset(found)


def _entries(
    gateway: TransitGateway, table: str, vpcs: Mapping[str, Vpc], sites: Iterable[Site]
) -> Iterator[_Entry]:
    """All routes of a table; of two VPCs that propagate the same range the first counts."""
    links = {one.name: (inner_device(one), VPC_SIDE) for one in gateway.attachments}
    sites = tuple(sites)
    for site, connection in private_gateway.attached(gateway.name, sites):
        name = private_gateway.device(site, connection)
        links[name] = (name, private_gateway.SITE_SIDE)
    for described in gateway.route_tables:
        for route in described.routes if described.name == table else ():
            dev, via = links.get(route.target, ("", VPC_SIDE))
            why = f"static: {route.destination} to {route.target}"
            yield _Entry(route.destination, dev, via, STATIC, why)
    seen: set[IPv4Network] = set()
    for one in gateway.attachments:
        for cidr in vpcs[one.vpc].cidrs if table in one.propagate_to else ():
            if cidr not in seen:
                seen.add(cidr)
                why = f"propagated by {one.name}"
                yield _Entry(cidr, inner_device(one), VPC_SIDE, FROM_VPC, why)
    for learned in private_gateway.learned(gateway.name, sites) if table == DEFAULT else ():
        name = private_gateway.device(learned.site, learned.connection)
        why = f"propagated by {name}"
        yield _Entry(learned.destination, name, private_gateway.SITE_SIDE, learned.metric, why)


def transit_gateway_facts(
    gateway: TransitGateway, vpcs: Mapping[str, Vpc], sites: Iterable[Site]
) -> Iterator[Fact]:
    """The gateway's namespace with its route tables, and its link to each attached VPC.

    In it:            100:  from all iif main lookup 1
    In a VPC's router: 100:  from all iif tgw-hub lookup 2    the table of the attachment's subnets
    """
    ns, sites = transit_gateway(gateway.name), tuple(sites)
    yield Netns(ns=ns, why=f"transit gateway {gateway.name}")
    yield from forwarding(ns)
    if not gateway.decrements_ttl:
        yield from keep_ttl(ns)
    yield from _silence(ns)
    numbers = {name: number for number, name in enumerate(route_tables(gateway), start=1)}
    for name, number in numbers.items():
        yield from _table(ns, name, number, _entries(gateway, name, vpcs, sites))
    for one in gateway.attachments:
        yield from _attachment(gateway, one, vpcs[one.vpc], numbers[one.route_table])
    for site, connection in private_gateway.attached(gateway.name, sites):
        yield Rule(
            ns=ns,
            priority=ASSOCIATION,
            iif=private_gateway.device(site, connection),
            table=numbers[DEFAULT],
            why=f"{site.name} is associated with route table {DEFAULT}",
        )


def _table(ns: str, name: str, number: int, entries: Iterable[_Entry]) -> Iterator[Route]:
    for entry in entries:
        yield Route(
            ns=ns,
            table=number,
            dst=entry.destination,
            kind="unicast" if entry.dev else "blackhole",
            via=entry.via if entry.dev else None,
            dev=entry.dev,
            metric=entry.metric,
            onlink=bool(entry.dev),
            why=f"route table {name}: {entry.why}",
        )
    why = f"route table {name} has no route: dropped in silence"
    yield Route(ns=ns, table=number, dst=ANYWHERE, kind="blackhole", metric=NO_ROUTE, why=why)


def _attachment(gateway: TransitGateway, one: Attachment, vpc: Vpc, table: int) -> Iterator[Fact]:
    ns, place, dev = transit_gateway(gateway.name), router(vpc.name), device(gateway.name)
    why = f"attachment {one.name} of VPC {vpc.name}"
    yield from link((place, dev, VPC_SIDE), (ns, inner_device(one), INNER_SIDE), MTU, why)
    yield Rule(
        ns=ns,
        priority=ASSOCIATION,
        iif=inner_device(one),
        table=table,
        why=f"{why}: associated with route table {one.route_table}",
    )
    within = {subnet.name: subnet for subnet in vpc.subnets}
    entered = within[one.subnets[0]]
    yield Rule(
        ns=place,
        priority=ASSOCIATION,
        iif=dev,
        table=table_numbers(vpc)[entered.route_table],
        why=f"{why}: what comes in meets the route table of its subnets",
    )
    zones = {within[name].availability_zone for name in one.subnets}
    outside = [subnet for subnet in vpc.subnets if subnet.availability_zone not in zones]
    for name, key, elements in (
        (f"without-{dev}", "ifname", [f'"{bridge(subnet)}"' for subnet in outside]),
        (f"services-{dev}", "ipv4_addr", [str(resolver_address(vpc))]),
    ):
        yield NftSet(ns=place, family=FAMILY, table=TABLE, name=name, key_type=key)
        for element in elements:
            yield NftElement(ns=place, family=FAMILY, table=TABLE, set=name, element=element)
    for name, hook, rule in (
        (f"from-{dev}", "prerouting priority raw", _dns(dev)),
        (f"to-{dev}", "forward priority filter + 10", _zone(dev)),
    ):
        hook = f"type filter hook {hook}; policy accept;"
        yield NftChain(ns=place, family=FAMILY, table=TABLE, name=name, hook=hook, rules=(rule,))


def _dns(dev: str) -> ChainRule:
    return ChainRule(
        f'iifname "{dev}" ip daddr @services-{dev} counter drop comment "DNS server"',
        "the Amazon-provided DNS server answers its own VPC only",
    )


def _zone(dev: str) -> ChainRule:
    return ChainRule(
        f'oifname "{dev}" iifname @without-{dev} counter drop comment "zone without attachment"',
        "TGW_ROUTE_AZ_RESTRICTION: the attachment has no subnet in the sender's zone",
    )


def _silence(ns: str) -> Iterator[NftChain]:
    """It answers nothing itself, but tells what is too big (Transit Gateway Guide, "MTU")."""
    too_big = ChainRule(
        "icmp type destination-unreachable icmp code frag-needed accept", "path MTU discovery"
    )
    for name, rules in (("input", ()), ("output", (too_big,))):
        hook = f"type filter hook {name} priority filter; policy drop;"
        yield NftChain(ns=ns, family=FAMILY, table=TABLE, name=name, hook=hook, rules=rules)
