"""An internet gateway: a namespace of its own, which translates 1:1 and drops the rest."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

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
)
from testbed.vpc.checks.ranges import PRIVATE, SHARED
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.namespaces import forwarding, link
from testbed.vpc.fabric.routing import GATEWAY_DEVICE, GATEWAY_SIDE, ROUTER_SIDE
from testbed.vpc.fabric.subnets import keep_ttl
from testbed.vpc.model import Vpc
from testbed.vpc.naming import INTERNET, internet_gateway, router

INTERNET_MTU = 1500  # bytes: EC2 User Guide, "Network MTU for your EC2 instance"
INSIDE, OUTSIDE = "vpc", "internet"  # the internet gateway's two devices
OUTER_GATEWAY_SIDE = IPv4Address("169.254.255.3")  # next hops of its link to the outside
OUTER_SIDE = IPv4Address("169.254.255.4")


def outer_device(vpc: str) -> str:
    """The internet's device towards a VPC's internet gateway."""
    return names.device(internet_gateway(vpc))


def internet_gateway_facts(vpc: Vpc, enis: Iterable[Eni]) -> Iterator[Fact]:
    """A stateless 1:1 translator between private addresses and their public ones."""
    ns = internet_gateway(vpc.name)
    yield Netns(ns=ns, why=f"the internet gateway of VPC {vpc.name}")
    yield from forwarding(ns)
    yield from keep_ttl(ns)
    inner = (router(vpc.name), GATEWAY_DEVICE, ROUTER_SIDE)
    yield from link(inner, (ns, INSIDE, GATEWAY_SIDE), INTERNET_MTU, "router to internet gateway")
    outer = (INTERNET, outer_device(vpc.name), OUTER_SIDE)
    yield from link((ns, OUTSIDE, OUTER_GATEWAY_SIDE), outer, INTERNET_MTU, "to the outside")
    for network in vpc.cidrs:
        why = "into the VPC"
        yield Route(ns=ns, dst=network, via=ROUTER_SIDE, dev=INSIDE, onlink=True, why=why)
    yield Route(
        ns=ns, dst=ANYWHERE, via=OUTER_SIDE, dev=OUTSIDE, onlink=True, why="out of the VPC"
    )
    yield from _translation(ns, enis)


def _translation(ns: str, enis: Iterable[Eni]) -> Iterator[Fact]:
    family, table = "ip", "igw"
    for name, value, flags in (
        ("egress", "ipv4_addr", ""),
        ("ingress", "ipv4_addr", ""),
        # The maps' keys once more: Debian 12's Linux 6.1 refuses `ip saddr != @MAP` (EINVAL).
        ("paired", "", ""),
        ("public", "", ""),
        ("private", "", "interval"),
    ):
        yield NftSet(
            ns=ns,
            family=family,
            table=table,
            name=name,
            key_type="ipv4_addr",
            value_type=value,
            flags=flags,
        )
    for network in map(str, (*PRIVATE, SHARED)):
        why = "RFC 1918 and RFC 6598 ranges do not cross an internet gateway"
        yield NftElement(
            ns=ns, family=family, table=table, set="private", element=network, why=why
        )
    for eni in enis:
        if eni.public_ip is None:
            continue
        private, public = str(eni.addresses[0]), str(eni.public_ip)
        why = f"{private} of {eni.instance} is paired with {public}"
        for name, key, value in (
            ("egress", private, public),
            ("ingress", public, private),
            ("paired", private, ""),
            ("public", public, ""),
        ):
            yield NftElement(
                ns=ns, family=family, table=table, set=name, element=key, value=value, why=why
            )
    for name, hook, rules in GATEWAY_CHAINS:
        yield NftChain(ns=ns, family=family, table=table, name=name, hook=hook, rules=rules)


GATEWAY_CHAINS = (
    (
        "prerouting",
        "type filter hook prerouting priority raw; policy accept;",
        (
            ChainRule(
                f'iifname "{INSIDE}" ip saddr != @paired counter drop'
                ' comment "source has no public address"',
                "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS",
            ),
            ChainRule(
                f'iifname "{INSIDE}" ip daddr @private counter drop comment "private destination"',
                "IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS",
            ),
            ChainRule(
                f'iifname "{OUTSIDE}" ip saddr @private counter drop comment "private source"',
                "IGW_SOURCE_ADDRESS_NOT_IN_RFC1918_INGRESS",
            ),
            ChainRule(
                f'iifname "{OUTSIDE}" ip daddr != @public counter drop'
                ' comment "no such public address"',
                "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS",
            ),
        ),
    ),
    (
        "to-private",
        "type nat hook prerouting priority dstnat; policy accept;",
        (ChainRule("dnat to ip daddr map @ingress", "the public address's private one"),),
    ),
    (
        "to-public",
        "type nat hook postrouting priority srcnat; policy accept;",
        (ChainRule("snat to ip saddr map @egress", "the private address's public one"),),
    ),
    # The gateway has no memory, but the kernel's NAT leaves alone what conntrack finds invalid.
    (
        "invalid-in",
        "type filter hook prerouting priority mangle; policy accept;",
        (
            ChainRule(
                f'iifname "{OUTSIDE}" ct state invalid ip daddr set ip daddr map @ingress',
                "stateless: whatever it is, it gets the private address",
            ),
        ),
    ),
    (
        "invalid-out",
        "type filter hook postrouting priority mangle; policy accept;",
        (
            ChainRule(
                f'oifname "{OUTSIDE}" ct state invalid ip saddr set ip saddr map @egress',
                "stateless: whatever it is, it gets the public address",
            ),
        ),
    ),
    ("input", "type filter hook input priority filter; policy drop;", ()),
    ("output", "type filter hook output priority filter; policy drop;", ()),
)
