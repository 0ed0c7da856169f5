"""What may come in by the port of an ENI, what it is answered, and what may go out: nft's chains.

In the bridges of a VPC's subnets, whose sets know ENIs by port, MAC and addresses:

    prerouting    source check                    mapping       whose ENI has the destination
    who-has       what a guest may ask ARP for    postrouting   destination check

A bridge would answer ARP from its neighbours, one for each address in the one table of neighbours
that the kernel has for all its namespaces.  The map `macs` is enough: it turns a request round.
"""

from collections.abc import Iterator

from testbed.net.facts import ChainRule, Fact, NftChain, NftElement, NftSet
from testbed.vpc.checks.routes import SERVICES_RANGE
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.eni import port
from testbed.vpc.fabric.routing import LIFTED
from testbed.vpc.model import Subnet
from testbed.vpc.naming import gateway_address
from testbed.vpc.security.tracking import FORWARDED

GATEWAY_MAC = "0a:ff:ff:ff:ff:01"  # the router's, in every subnet
FAMILY, TABLE = "bridge", "vpc"
SERVICES, MACS, RATES = "services", "macs", "link-local-rates"
SERVICES_PPS = 1024  # packets per second of an ENI to Amazon's services: Amazon VPC quotas

SETS = (  # name, key, value, flags, why
    (SERVICES, "ipv4_addr", "", "", "addresses of Amazon's own services"),
    (RATES, "ifname", "", "dynamic", "how much each ENI asks of Amazon's services"),
    ("ports", "ifname . ether_addr", "", "", "the MAC of the ENI behind a port"),
    ("subnets", "ifname . ipv4_addr", "", "interval", "the subnet of the ENI behind a port"),
    ("assigned", "ether_addr . ipv4_addr", "", "", "ENIs, by their MACs, and their addresses"),
    ("unchecked", "ether_addr", "", "", "ENIs whose source/destination check is off"),
    (MACS, "ipv4_addr", "ether_addr", "", "the mapping: who has an address"),
)


def frame_facts(ns: str, *, guarded: bool) -> Iterator[Fact]:
    """The sets and chains of a VPC's subnets; ENIs and subnets bring the elements.

    guarded: by security groups, which must know the sender.
    """
    for name, key, value, flags, why in SETS:
        yield NftSet(
            ns=ns,
            family=FAMILY,
            table=TABLE,
            name=name,
            key_type=key,
            value_type=value,
            flags=flags,
            options=("size 65535",) if flags == "dynamic" else (),
            why=why,
        )
    for chain, hook, rules in (
        ("prerouting", "prerouting priority dstnat", _prerouting(guarded)),
        ("who-has", "", WHO_HAS),
        ("answer", "", ANSWER),
        ("mapping", "", MAPPING),
        ("lift", "", _lift(guarded)),
        ("postrouting", "postrouting priority srcnat", POSTROUTING),
    ):
        hook = f"type filter hook {hook}; policy drop;" if hook else ""
        yield NftChain(ns=ns, family=FAMILY, table=TABLE, name=chain, hook=hook, rules=rules)


def _prerouting(guarded: bool) -> tuple[ChainRule, ...]:
    """What most frames are is asked first."""
    unchecked = "ether saddr @unchecked"
    if guarded:
        unchecked += f" meta mark set meta mark | 0x{FORWARDED:08x}"
    rules = (
        ChainRule(
            'iifname . ether saddr != @ports counter drop comment "source MAC"',
            "a MAC that is not the ENI's is dropped, even with the check off",
        ),
        ChainRule("ether saddr . ip saddr @assigned goto mapping", "source check passed"),
        ChainRule("arp operation request goto who-has", "the mapping answers it, or nobody does"),
        ChainRule('ether type != ip counter drop comment "not IPv4"', "a VPC carries IP only"),
        ChainRule(f"{unchecked} goto mapping", "source check is off"),
        ChainRule(
            'counter drop comment "source check"',
            "ENI_SOURCE_DEST_CHECK_RESTRICTION: the source is not an address of this ENI",
        ),
    )
    sender = ChainRule("meta mark set iifname map @groups", "whose security groups judge it")
    return (sender, *rules) if guarded else rules


WHO_HAS = (
    ChainRule("iifname . arp daddr ip @subnets goto answer", "asked for in its own subnet"),
    ChainRule(f"arp daddr ip {SERVICES_RANGE} goto answer", "Amazon's services: in every subnet"),
    ChainRule("drop", "nobody answers for another subnet, and no guest is asked"),
)

# `@nh,104,40` is the asker's address with the byte before it, which is kept in the unused field of
# the target's MAC while the other address takes its place, and ends in `@nh,184,40`, the target's
# address with the byte before it.  (Four bytes would be printed by name, and nft 1.1 does not take
# them for an address; the byte before is of a MAC that is set afterwards.)
ANSWER = (
    ChainRule(
        "ether daddr set ether saddr ether saddr set arp daddr ip map @macs"
        " arp saddr ether set ether saddr"
        " @nh,144,40 set @nh,104,40 arp saddr ip set arp daddr ip @nh,184,40 set @nh,144,40"
        " arp daddr ether set ether daddr arp operation set reply accept",
        "AWS's mapping service answers ARP itself, with the MAC of the address's ENI",
    ),
    ChainRule("drop", "an address that no ENI has: silence"),
)

MAPPING = (
    ChainRule(
        f"ip daddr @{SERVICES} update @{RATES} {{ iifname limit rate over {SERVICES_PPS}/second"
        f' burst {SERVICES_PPS} packets }} counter drop comment "link-local rate"',
        f"X_LINK_LOCAL_PPS: {SERVICES_PPS} packets a second from one ENI (Amazon VPC quotas)",
    ),
    ChainRule(
        f'ether daddr {GATEWAY_MAC} accept comment "to the router"',
        "frames for the gateway's MAC are routed",
    ),
    ChainRule("ether daddr . ip daddr @assigned goto lift", "for an ENI of the same subnet"),
    ChainRule(
        'ether daddr @unchecked accept comment "bridged"',
        "an ENI whose check is off takes any destination",
    ),
    ChainRule(
        'counter drop comment "no mapping"',
        "X_NO_MAPPING: no ENI has this address at this MAC; no flooding, no broadcast",
    ),
)


def _lift(guarded: bool) -> tuple[ChainRule, ...]:
    mark = "meta mark | " if guarded else ""
    return (
        ChainRule(
            f"ether daddr set {GATEWAY_MAC} meta pkttype set host"
            f" meta mark set {mark}0x{LIFTED:08x} accept",
            "same-subnet traffic meets the router's forward chain too",
        ),
    )


POSTROUTING = (
    ChainRule(
        f"meta mark & 0x{LIFTED:08x} == 0x{LIFTED:08x} ether saddr set ip saddr map @macs",
        "same-subnet frames keep the sender's MAC",
    ),
    ChainRule("ether daddr . ip daddr @assigned accept", "destination check passed"),
    ChainRule("arp operation reply accept", "the mapping's answer, to who asked"),
    ChainRule("ether type arp drop", "requests reach no guest"),
    ChainRule("ether daddr @unchecked accept", "destination check is off"),
    ChainRule(
        'counter drop comment "destination check"',
        "ENI_SOURCE_DEST_CHECK_RESTRICTION: the destination is not an address of this ENI",
    ),
)


def router_element(ns: str, subnet: Subnet) -> NftElement:
    """What the mapping knows of a subnet: the MAC of its router."""
    why = f"the router in {subnet.name}"
    return element(ns, MACS, str(gateway_address(subnet)), GATEWAY_MAC, why=why)


def eni_elements(ns: str, subnet: Subnet, eni: Eni) -> Iterator[NftElement]:
    """What the checks and the mapping know of an ENI."""
    behind, mac, why = f'"{port(eni)}"', eni.mac, f"{eni.id} of {eni.instance}"
    yield element(ns, "ports", f"{behind} . {mac}", why=why)
    yield element(ns, "subnets", f"{behind} . {subnet.cidr}", why=why)
    if not eni.source_dest_check:
        yield element(ns, "unchecked", mac, why=f"{why}: source/destination check off")


def address_elements(ns: str, mac: str, address: str, why: str) -> Iterator[NftElement]:
    """What they know of one of its addresses."""
    yield element(ns, "assigned", f"{mac} . {address}", why=why)
    yield element(ns, MACS, address, mac, why=why)


def element(ns: str, into: str, key: str, value: str = "", *, why: str) -> NftElement:
    """An element of one of the sets."""
    return NftElement(
        ns=ns, family=FAMILY, table=TABLE, set=into, element=key, value=value, why=why
    )
