"""A NAT gateway: a namespace of its own, with an ENI in its subnet."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from testbed.net.facts import (
    ANYWHERE,
    Address,
    ChainRule,
    Fact,
    Netns,
    NftChain,
    NftElement,
    NftSet,
    Route,
    Sysctl,
)
from testbed.vpc.checks.ranges import widest
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.eni import instance_side
from testbed.vpc.fabric.namespaces import forwarding
from testbed.vpc.fabric.subnets import JUMBO
from testbed.vpc.model import Subnet, Vpc
from testbed.vpc.naming import gateway_address

NAT_IDLE_S = 350  # VPC User Guide, "NAT gateway basics"
NAT_MTU = 8500  # bytes: the same
DEFRAGMENTED = -400  # linux/netfilter_ipv4.h: NF_IP_PRI_CONNTRACK_DEFRAG

NatChain = tuple[str, str, tuple[ChainRule, ...]]  # its name, its hook, its rules
NAT_FILTERS: tuple[NatChain, ...] = (
    (
        "fragments",  # before the kernel puts them together
        f"type filter hook prerouting priority {DEFRAGMENTED - 50}; policy accept;",
        (
            ChainRule(
                "ip frag-off & 16383 != 0 meta l4proto { icmp, tcp } counter drop"
                ' comment "fragment"',
                "a NAT gateway forwards fragments of UDP only",
            ),
        ),
    ),
    (
        "segments",
        "type filter hook forward priority mangle; policy accept;",
        (ChainRule("tcp option maxseg size set rt mtu", "TCP is told what fits, both ways"),),
    ),
    (
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
    ),
    ("input", "type filter hook input priority filter; policy drop;", ()),
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


def _nat_chains(address: IPv4Address) -> Iterator[NatChain]:
    yield from NAT_FILTERS
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
