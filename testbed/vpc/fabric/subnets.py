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
    Sysctl,
)
from testbed.vpc.eni import Eni
from testbed.vpc.fabric import eni as enis_of
from testbed.vpc.fabric.frames import (
    GATEWAY_MAC,
    address_elements,
    eni_elements,
    frame_facts,
    router_element,
)
from testbed.vpc.fabric.load_balancers import back_facts
from testbed.vpc.fabric.routing import address_route, routing_facts
from testbed.vpc.fabric.surroundings import Surroundings
from testbed.vpc.model import Subnet, Vpc
from testbed.vpc.naming import bridge, gateway_address, router
from testbed.vpc.security.forward import forward_facts
from testbed.vpc.security.groups import Memberships

JUMBO = 9001  # bytes: EC2 User Guide, "Network MTU for your EC2 instance"
TABLE = "vpc"

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
    yield from frame_facts(ns, guarded=bool(vpc.security_groups))
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
        "net.ipv4.conf.all.arp_ignore": ("8", "only the mapping answers ARP"),
        "net.ipv4.conf.default.arp_ignore": ("8", "only the mapping answers ARP"),
        "net.ipv4.conf.all.accept_local": ("1", "fragmentation-needed for a NAT gateway's client"),
        "net.ipv4.conf.default.accept_local": ("1", "fragmentation-needed for a NAT client"),
        "net.bridge.bridge-nf-call-iptables": ("0", "the subnets' checks are nft bridge rules"),
        "net.ipv6.conf.all.disable_ipv6": ("1", "IPv4 only"),
        "net.ipv6.conf.default.disable_ipv6": ("1", "IPv4 only"),
    }
    for name, (value, why) in settings.items():
        yield Sysctl(ns=ns, name=name, value=value, why=why)


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
    yield router_element(ns, subnet)


def eni_facts(ns: str, subnet: Subnet, eni: Eni) -> Iterator[Fact]:
    """The VPC's end of an ENI, what may pass it, and all its addresses.

    Only the ENI is a neighbour; its other addresses are behind it.
    """
    port = enis_of.port(eni)
    why = f"{eni.id} of {eni.instance}"
    yield enis_of.vpc_side(eni, JUMBO)
    yield BridgePort(
        ns=ns,
        dev=port,
        bridge=bridge(subnet),
        learning=False,
        flood=False,
        hairpin=True,
        why="AWS's mapping service: no learning, no flooding, ARP's answer goes back to who asked",
    )
    yield Fdb(ns=ns, dev=port, mac=eni.mac, why=why)
    yield Neighbour(ns=ns, dev=bridge(subnet), ip=eni.primary, mac=eni.mac, why=why)
    yield from eni_elements(ns, subnet, eni)
    for address in eni.delivered:
        text = str(address)  # once: it is slow to spell
        why = f"{text} is assigned to {eni.id} of {eni.instance}"
        yield address_route(ns, subnet, eni, address, why)
        yield from address_elements(ns, eni.mac, text, why)
