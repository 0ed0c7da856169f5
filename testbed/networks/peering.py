"""VPC peering: a link between two VPCs' routers, and what each of them takes from it.

What comes by a peering meets no route table of the VPC: it is for an address there, or dies.  So
peering is not transitive, and no peer uses the gateways of the other.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address

from testbed.net import names
from testbed.net.facts import ChainRule, Fact, NftChain, NftElement, NftSet
from testbed.networks.model import Peering
from testbed.networks.return_to_sender import FAMILY, TABLE, return_facts
from testbed.vpc.checks.ranges import widest
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.namespaces import link
from testbed.vpc.fabric.resolver import resolver_address
from testbed.vpc.fabric.routing import Hop
from testbed.vpc.fabric.subnets import JUMBO
from testbed.vpc.model import Vpc
from testbed.vpc.naming import region, router

BETWEEN_REGIONS = 8500  # bytes: VPC Peering Guide, "How VPC peering connections work"
# Next hops of the link; neither end has an address.
REQUESTER_SIDE, ACCEPTER_SIDE = IPv4Address("169.254.255.7"), IPv4Address("169.254.255.8")


def device(peering: Peering) -> str:
    """The peering's link in both routers: `pcx-shared`."""
    name = peering.name
    return names.device(name if name.startswith("pcx-") else f"pcx-{name}")


def mtu_bytes(one: Vpc, other: Vpc) -> int:
    """The largest packet a peering carries."""
    return JUMBO if region(one) == region(other) else BETWEEN_REGIONS


def hops(vpc: str, peerings: Iterable[Peering]) -> Iterator[tuple[str, Hop]]:
    """Where a VPC's routes to its active peerings lead."""
    for peering in peerings:
        if vpc in peering.vpcs and peering.status == "active":
            far = ACCEPTER_SIDE if vpc == peering.requester else REQUESTER_SIDE
            yield peering.name, (far, device(peering))


def neighbours(
    vpc: Vpc, peerings: Iterable[Peering], vpcs: Mapping[str, Vpc], *, active: bool
) -> tuple[Vpc, ...]:
    """The VPCs peered with one in its region: rules of its groups may name theirs.

    active: only those whose peering is; a rule may stay when it is no more (AWS: a stale rule).
    """
    others = [
        vpcs[name]
        for peering in peerings
        if vpc.name in peering.vpcs and (peering.status == "active" or not active)
        for name in peering.vpcs
        if name != vpc.name and name in vpcs
    ]
    return tuple(other for other in others if region(other) == region(vpc))


def peering_facts(
    peerings: Iterable[Peering], vpcs: Mapping[str, Vpc], enis: Iterable[Eni]
) -> Iterator[Fact]:
    """The links of the active peerings, and the checks at both ends.  enis: of all VPCs."""
    enis = tuple(enis)
    active = [peering for peering in peerings if peering.status == "active"]
    for peering in active:
        ends = (vpcs[peering.requester], vpcs[peering.accepter])
        dev, why = device(peering), f"peering {peering.name} of {ends[0].name} and {ends[1].name}"
        near = (router(ends[0].name), dev, REQUESTER_SIDE)
        far = (router(ends[1].name), dev, ACCEPTER_SIDE)
        yield from link(near, far, mtu_bytes(*ends), why)
    for vpc in vpcs.values():
        mine = [peering for peering in active if vpc.name in peering.vpcs]
        if mine:
            yield from _checks(vpc, mine, vpcs)
            yield from return_facts(router(vpc.name), _ways(vpc.name, mine), enis)


def _ways(vpc: str, peerings: list[Peering]) -> dict[str, Hop]:
    """The way to each peered VPC."""
    ways = dict(hops(vpc, peerings))
    return {
        other: ways[peering.name] for peering in peerings for other in peering.vpcs if other != vpc
    }


def _checks(vpc: Vpc, peerings: list[Peering], vpcs: Mapping[str, Vpc]) -> Iterator[Fact]:
    """What a router refuses of its peers, before it routes anything.

    It cannot be told by routes: a peer's route to a range of ours is as good as any.
    """
    ns = router(vpc.name)
    others = widest(cidr for one in vpcs.values() if one != vpc for cidr in one.cidrs)
    for name, key, flags, elements in (
        ("links", "ifname", "", [f'"{device(peering)}"' for peering in peerings]),
        ("own", "ipv4_addr", "interval", list(map(str, vpc.cidrs))),
        ("others", "ipv4_addr", "interval", list(map(str, others))),
        ("services", "ipv4_addr", "", [str(resolver_address(vpc))]),
    ):
        yield NftSet(ns=ns, family=FAMILY, table=TABLE, name=name, key_type=key, flags=flags)
        for element in elements:
            yield NftElement(ns=ns, family=FAMILY, table=TABLE, set=name, element=element)
    yield NftChain(
        ns=ns,
        family=FAMILY,
        table=TABLE,
        name="prerouting",
        hook="type filter hook prerouting priority raw; policy accept;",
        rules=RULES,
        why=f"what comes by a peering of {vpc.name}",
    )


# Peering Guide: limitations, and "Unsupported VPC peering configurations"
RULES = (
    ChainRule(
        'iifname @links ip daddr @services counter drop comment "DNS server"',
        "the Amazon-provided DNS server answers its own VPC only",
    ),
    ChainRule("iifname @links ip daddr @own accept", "for an address of this VPC"),
    ChainRule("iifname @links ip saddr @own accept", "from an address of this VPC"),
    ChainRule(
        'iifname @links ip daddr @others counter drop comment "not transitive"',
        "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR: a peer's peer is no peer",
    ),
    ChainRule(
        'iifname @links counter drop comment "edge to edge"',
        "a peer uses no gateway of this VPC: neither internet, NAT, VPN nor Direct Connect",
    ),
)
