"""Internet gateways and NAT gateways: each a namespace of its own."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from testbed.net import names
from testbed.net.facts import (
    ANYWHERE,
    Address,
    ChainRule,
    Fact,
    Neighbour,
    Netns,
    NftChain,
    NftElement,
    NftSet,
    Route,
    Sysctl,
    Veth,
)
from testbed.vpc.checks.ranges import PRIVATE, SHARED, widest
from testbed.vpc.ec2 import Eni
from testbed.vpc.fabric.eni import instance_side
from testbed.vpc.fabric.routing import GATEWAY_DEVICE, GATEWAY_SIDE, ROUTER_SIDE
from testbed.vpc.fabric.subnets import JUMBO, keep_ttl
from testbed.vpc.model import Subnet, Vpc
from testbed.vpc.naming import INTERNET, gateway_address, internet_gateway, router

INTERNET_MTU = 1500  # bytes: EC2 User Guide, "Network MTU for your EC2 instance"
INSIDE, OUTSIDE = "vpc", "internet"  # the internet gateway's two devices
OUTER_GATEWAY_SIDE = IPv4Address("169.254.255.3")  # next hops of its link to the outside
OUTER_SIDE = IPv4Address("169.254.255.4")
NAT_IDLE_S = 350  # VPC User Guide, "NAT gateway basics"
NAT_MTU = 8500  # bytes: the same
DEFRAGMENTED = -400  # linux/netfilter_ipv4.h: NF_IP_PRI_CONNTRACK_DEFRAG


def forwarding(ns: str) -> Iterator[Sysctl]:
    """A forwarding namespace whose settings do not depend on the host's."""
    for name, value in (
        ("net.ipv4.ip_forward", "1"),
        ("net.ipv4.conf.all.rp_filter", "0"),
        ("net.ipv4.conf.default.rp_filter", "0"),
        ("net.ipv4.conf.all.send_redirects", "0"),
        ("net.ipv4.conf.default.send_redirects", "0"),
        ("net.ipv6.conf.all.disable_ipv6", "1"),
        ("net.ipv6.conf.default.disable_ipv6", "1"),
    ):
        yield Sysctl(ns=ns, name=name, value=value, why="forwards, filters no reverse path")


def end_system(ns: str) -> Iterator[Sysctl]:
    """A namespace that serves and forwards nothing; its settings do not depend on the host's."""
    for name, value in (
        ("net.ipv4.ip_forward", "0"),
        ("net.ipv4.conf.all.rp_filter", "0"),
        ("net.ipv4.conf.default.rp_filter", "0"),
        ("net.ipv6.conf.all.disable_ipv6", "1"),
        ("net.ipv6.conf.default.disable_ipv6", "1"),
    ):
        yield Sysctl(ns=ns, name=name, value=value, why="serves, forwards nothing")


def link(
    near: tuple[str, str, IPv4Address], far: tuple[str, str, IPv4Address], mtu: int, why: str
) -> Iterator[Fact]:
    """A veth pair without addresses; each end knows the other's next-hop address and MAC."""
    for (ns, dev, _), (peer_ns, peer, peer_hop) in ((near, far), (far, near)):
        mac, peer_mac = names.mac(ns, dev), names.mac(peer_ns, peer)
        yield Veth(ns=ns, name=dev, peer_ns=peer_ns, peer=peer, mac=mac, mtu=mtu, why=why)
        yield Neighbour(ns=ns, dev=dev, ip=peer_hop, mac=peer_mac, why=why)


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


NAT_TIMEOUTS = {
    "tcp_timeout_established": str(NAT_IDLE_S),
    "udp_timeout": str(NAT_IDLE_S),
    "udp_timeout_stream": str(NAT_IDLE_S),
    "icmp_timeout": str(NAT_IDLE_S),
    "tcp_loose": "0",
}


def nat_gateway_facts(
    vpc: Vpc, subnet: Subnet, eni: Eni, others: Iterable[IPv4Network] = ()
) -> Iterator[Fact]:
    """A NAT gateway: an ENI whose namespace translates to its address."""
    ns, address = eni.instance, eni.addresses[0]
    yield Netns(ns=ns, why=f"NAT gateway {ns} in subnet {subnet.name}")
    yield from forwarding(ns)
    yield instance_side(eni, JUMBO)
    interface = IPv4Interface(f"{address}/{subnet.cidr.prefixlen}")
    pair = f"paired with {eni.public_ip}" if eni.public_ip else "of a private NAT gateway"
    yield Address(ns=ns, dev="eth0", ip=interface, why=f"{eni.id}, {pair}")
    yield Route(
        ns=ns,
        dst=ANYWHERE,
        via=gateway_address(subnet),
        dev="eth0",
        mtu=NAT_MTU,
        why="the subnet's router; what is larger is told so (NAT gateway basics)",
    )
    for name, value in NAT_TIMEOUTS.items():
        why = f"a flow idle for {NAT_IDLE_S} s is gone"
        yield Sysctl(ns=ns, name=f"net.netfilter.nf_conntrack_{name}", value=value, why=why)
    family, table = "ip", "nat-gateway"
    yield NftSet(
        ns=ns, family=family, table=table, name="vpc", key_type="ipv4_addr", flags="interval"
    )
    for network in widest((*vpc.cidrs, *others)):
        why = "NGW_REQUIRES_SOURCE_IN_VPC"
        yield NftElement(
            ns=ns, family=family, table=table, set="vpc", element=str(network), why=why
        )
    for name, hook, rules in _nat_chains(address):
        yield NftChain(ns=ns, family=family, table=table, name=name, hook=hook, rules=rules)


def _nat_chains(address: IPv4Address) -> Iterator[tuple[str, str, tuple[ChainRule, ...]]]:
    yield (
        "fragments",  # before the kernel puts them together
        f"type filter hook prerouting priority {DEFRAGMENTED - 50}; policy accept;",
        (
            ChainRule(
                "ip frag-off & 16383 != 0 meta l4proto { icmp, tcp } counter drop"
                ' comment "fragment"',
                "a NAT gateway forwards fragments of UDP only",
            ),
        ),
    )
    yield (
        "segments",
        "type filter hook forward priority mangle; policy accept;",
        (ChainRule("tcp option maxseg size set rt mtu", "TCP is told what fits, both ways"),),
    )
    yield (
        "forward",
        "type filter hook forward priority filter; policy drop;",
        (
            ChainRule("ct state established,related accept", "replies"),
            ChainRule(
                "ip saddr @vpc ct state new meta l4proto { icmp, tcp, udp } accept",
                "a NAT gateway serves TCP, UDP and ICMP of its own VPC",
            ),
            ChainRule(
                "ip saddr @vpc meta l4proto tcp ct state invalid counter reject with tcp reset"
                ' comment "no such flow"',
                f"who goes on after {NAT_IDLE_S} s of silence is told that the flow is gone",
            ),
            ChainRule('counter drop comment "not for NAT"', "X_NAT_UNSOLICITED"),
        ),
    )
    yield (
        "postrouting",
        "type nat hook postrouting priority srcnat; policy accept;",
        (
            ChainRule(
                f"ip saddr @vpc meta l4proto {{ tcp, udp }} snat to {address}:1024-65535",
                "NGW_SOURCE_ADDRESS_REASSIGN",
            ),
            ChainRule(f"ip saddr @vpc ip protocol icmp snat to {address}"),
        ),
    )
    yield "input", "type filter hook input priority filter; policy drop;", ()
