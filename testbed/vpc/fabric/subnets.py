"""The fabric of a VPC: subnets as bridges that know every address, and the checks on each ENI.

A subnet's bridge answers ARP for assigned addresses only and learns nothing.  A frame that passes
the checks is lifted to layer 3 even inside its subnet, so that all traffic meets one router, one
forward chain (the place of security groups) and one table with a route per assigned address.
Everything that fails is dropped in silence, as AWS does.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Interface

from testbed.net.facts import (
    Address,
    Bridge,
    BridgePort,
    Chain,
    ChainRule,
    Fact,
    Fdb,
    Neighbour,
    Netns,
    NftChain,
    NftElement,
    NftSet,
    Sysctl,
)
from testbed.vpc.eni import Eni
from testbed.vpc.fabric import eni as enis_of
from testbed.vpc.fabric.load_balancers import back_facts
from testbed.vpc.fabric.routing import LIFTED, address_route, routing_facts
from testbed.vpc.fabric.surroundings import Surroundings
from testbed.vpc.model import Subnet, Vpc
from testbed.vpc.naming import bridge, gateway_address, router
from testbed.vpc.security.forward import forward_facts
from testbed.vpc.security.groups import Memberships
from testbed.vpc.security.tracking import FORWARDED

GATEWAY_MAC = "0a:ff:ff:ff:ff:01"  # the router's, in every subnet
JUMBO = 9001  # bytes: EC2 User Guide, "Network MTU for your EC2 instance"
FAMILY, TABLE = "bridge", "vpc"
SERVICES, RATES = "services", "link-local-rates"
SERVICES_PPS = 1024  # packets per second of an ENI to Amazon's services: Amazon VPC quotas

EXPIRING = 0x2  # the bit of the packet mark for what arrived with TTL 1; 0x1 is routing's LIFTED
# (0x4 and the upper half are those of security.tracking)


def fabric_facts(
    vpc: Vpc, enis: Iterable[Eni], around: Surroundings, groups: Memberships
) -> Iterator[Fact]:
    """The router's namespace with its subnets, and the VPC's end of every ENI.

    groups: the security groups of instances' ENIs; they count where the VPC describes groups.
    """
    ns = router(vpc.name)
    subnets = {subnet.name: subnet for subnet in vpc.subnets}
    enis = sorted(enis, key=lambda eni: eni.id)
    yield Netns(ns=ns, why=f"VPC {vpc.name}: its router and subnets")
    yield from _sysctls(ns)
    yield from _checks(ns, guarded=bool(vpc.security_groups))
    yield from _silence(vpc, ns)
    yield from forward_facts(vpc, enis, groups, around)
    yield from keep_ttl(ns)
    for subnet in vpc.subnets:
        yield from _subnet(ns, subnet)
    for eni in enis:
        yield from eni_facts(ns, subnets[eni.subnet], eni)
    yield from routing_facts(vpc, enis, around.hops)
    yield from back_facts(vpc, enis)


def _sysctls(ns: str) -> Iterator[Sysctl]:
    settings = {
        "net.ipv4.ip_forward": ("1", "the VPC's router forwards"),
        "net.ipv4.conf.all.rp_filter": ("0", "a VPC has no reverse path filter"),
        "net.ipv4.conf.default.rp_filter": ("0", "a VPC has no reverse path filter"),
        "net.ipv4.conf.all.send_redirects": ("0", "a VPC sends no ICMP redirects"),
        "net.ipv4.conf.default.send_redirects": ("0", "a VPC sends no ICMP redirects"),
        "net.ipv4.conf.all.arp_ignore": ("8", "only the bridges answer ARP, from their mapping"),
        "net.ipv4.conf.default.arp_ignore": ("8", "only the bridges answer ARP"),
        "net.ipv4.conf.all.accept_local": ("1", "fragmentation-needed for a NAT gateway's client"),
        "net.ipv4.conf.default.accept_local": ("1", "fragmentation-needed for a NAT client"),
        "net.bridge.bridge-nf-call-iptables": ("0", "the subnets' checks are nft bridge rules"),
        "net.ipv6.conf.all.disable_ipv6": ("1", "IPv4 only"),
        "net.ipv6.conf.default.disable_ipv6": ("1", "IPv4 only"),
    }
    for name, (value, why) in settings.items():
        yield Sysctl(ns=ns, name=name, value=value, why=why)


def _checks(ns: str, *, guarded: bool) -> Iterator[Fact]:
    """The source check, the mapping and the destination check, as nft bridge chains.

    guarded: by security groups, which must know the sender.
    """
    yield NftSet(
        ns=ns,
        family=FAMILY,
        table=TABLE,
        name=RATES,
        key_type="ifname",
        flags="dynamic",
        options=("size 65535",),
        why="how much each ENI asks of Amazon's services",
    )
    for name, key, value, why in (
        (SERVICES, "ipv4_addr", "", "addresses of Amazon's own services"),
        ("ports", "ifname . ether_addr", "", "the MAC of the ENI behind a port"),
        ("assigned", "ether_addr . ipv4_addr", "", "ENIs, by their MACs, and their addresses"),
        ("unchecked", "ether_addr", "", "ENIs whose source/destination check is off"),
        ("macs", "ipv4_addr", "ether_addr", "the MAC same-subnet frames keep"),
    ):
        yield NftSet(
            ns=ns, family=FAMILY, table=TABLE, name=name, key_type=key, value_type=value, why=why
        )
    for chain, hook, rules in (
        (
            "prerouting",
            "type filter hook prerouting priority dstnat; policy drop;",
            _prerouting(guarded),
        ),
        ("mapping", "", MAPPING),
        ("lift", "", _lift(guarded)),
        ("postrouting", "type filter hook postrouting priority srcnat; policy drop;", POSTROUTING),
    ):
        yield NftChain(ns=ns, family=FAMILY, table=TABLE, name=chain, hook=hook, rules=rules)


def _prerouting(guarded: bool) -> tuple[ChainRule, ...]:
    unchecked = "ether saddr @unchecked"
    if guarded:
        unchecked += f" meta mark set meta mark | 0x{FORWARDED:08x}"
    rules = (
        ChainRule(
            'iifname . ether saddr != @ports counter drop comment "source MAC"',
            "a MAC that is not the ENI's is dropped, even with the check off",
        ),
        ChainRule("arp operation request accept", "the bridge answers it, or nobody does"),
        ChainRule('ether type != ip counter drop comment "not IPv4"', "a VPC carries IP only"),
        ChainRule("ether saddr . ip saddr @assigned goto mapping", "source check passed"),
        ChainRule(f"{unchecked} goto mapping", "source check is off"),
        ChainRule(
            'counter drop comment "source check"',
            "ENI_SOURCE_DEST_CHECK_RESTRICTION: the source is not an address of this ENI",
        ),
    )
    sender = ChainRule("meta mark set iifname map @groups", "whose security groups judge it")
    return (sender, *rules) if guarded else rules


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
    ChainRule('ether type arp drop comment "the bridge has answered"', "requests reach no guest"),
    ChainRule(
        f"meta mark & 0x{LIFTED:08x} == 0x{LIFTED:08x} ether saddr set ip saddr map @macs",
        "same-subnet frames keep the sender's MAC",
    ),
    ChainRule("ether daddr . ip daddr @assigned accept", "destination check passed"),
    ChainRule("ether daddr @unchecked accept", "destination check is off"),
    ChainRule(
        'counter drop comment "destination check"',
        "ENI_SOURCE_DEST_CHECK_RESTRICTION: the destination is not an address of this ENI",
    ),
)


def _silence(vpc: Vpc, ns: str) -> Iterator[NftChain]:
    """The router says nothing but `fragmentation needed`."""
    ping = ChainRule("icmp type echo-request accept", "the topology's routerAnswersPing")
    reply = ChainRule("icmp type echo-reply accept", "the topology's routerAnswersPing")
    too_big = ChainRule(
        "icmp type destination-unreachable icmp code frag-needed accept",
        "the one ICMP message a VPC router sends (EC2 User Guide, path MTU discovery)",
    )
    answers = vpc.router_answers_ping
    for name, rules in (
        ("input", (ping,) if answers else ()),
        ("output", (too_big, reply) if answers else (too_big,)),
    ):
        hook = f"type filter hook {name} priority filter; policy drop;"
        yield NftChain(ns=ns, family="ip", table=TABLE, name=name, hook=hook, rules=rules)


def keep_ttl(ns: str) -> Iterator[Chain]:
    """Undo the kernel's decrement, so that a crossing costs no TTL.

    Only a TTL of 1 is raised before routing, so that ICMP errors quote packets as they were sent.
    """
    why = "TTL is not decremented inside a VPC"
    yield Chain(
        ns=ns,
        table="mangle",
        name="PREROUTING",
        rules=(
            ChainRule(f"-m ttl --ttl-eq 1 -j MARK --set-xmark {EXPIRING:#x}/{EXPIRING:#x}", why),
            ChainRule("-m ttl --ttl-eq 1 -j TTL --ttl-set 2", why),
        ),
    )
    kept = ChainRule(f"-m mark ! --mark {EXPIRING:#x}/{EXPIRING:#x} -j TTL --ttl-inc 1", why)
    yield Chain(ns=ns, table="mangle", name="FORWARD", rules=(kept,))


def _subnet(ns: str, subnet: Subnet) -> Iterator[Fact]:
    gateway = gateway_address(subnet)
    why = f"subnet {subnet.name} ({subnet.cidr}, {subnet.availability_zone})"
    yield Bridge(ns=ns, name=bridge(subnet), mac=GATEWAY_MAC, mtu=JUMBO, why=why)
    # On lo, not on the bridge: there the kernel would learn neighbours from the requests it sees.
    yield Address(
        ns=ns, dev="lo", ip=IPv4Interface(f"{gateway}/32"), why=f"the router in {subnet.name}"
    )
    yield Neighbour(
        ns=ns,
        dev=bridge(subnet),
        ip=gateway,
        mac=GATEWAY_MAC,
        why="the bridge answers ARP for the router",
    )


def eni_facts(ns: str, subnet: Subnet, eni: Eni) -> Iterator[Fact]:
    """The VPC's end of an ENI, what may pass it, and all its addresses."""
    port = enis_of.port(eni)
    why = f"{eni.id} of {eni.instance}"
    yield enis_of.vpc_side(eni, JUMBO)
    yield BridgePort(
        ns=ns,
        dev=port,
        bridge=bridge(subnet),
        learning=False,
        flood=False,
        proxy_arp=True,
        why="AWS's mapping service: no learning, no flooding, ARP answered from the mapping",
    )
    yield Fdb(ns=ns, dev=port, mac=eni.mac, why=why)
    yield _element(ns, "ports", f'"{port}" . {eni.mac}', why=why)
    if not eni.source_dest_check:
        unchecked = f"{why}: source/destination check off"
        yield _element(ns, "unchecked", eni.mac, why=unchecked)
    for address in eni.delivered:
        text = str(address)  # once: it is slow to spell
        why = f"{text} is assigned to {eni.id} of {eni.instance}"
        yield Neighbour(ns=ns, dev=bridge(subnet), ip=address, mac=eni.mac, why=why)
        yield address_route(ns, subnet, address, why)
        yield _element(ns, "assigned", f"{eni.mac} . {text}", why=why)
        yield _element(ns, "macs", text, eni.mac, why=why)


def _element(ns: str, into: str, element: str, value: str = "", *, why: str) -> NftElement:
    return NftElement(
        ns=ns, family=FAMILY, table=TABLE, set=into, element=element, value=value, why=why
    )
