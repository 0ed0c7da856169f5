"""Network ACLs as nft: numbered rules without memory, between subnets only.

    network-acls      iifname vmap @acls-out        "private-a" : jump acl/private/out
    acl/private/out   ip daddr 10.0.0.0/16 tcp dport 443 return comment "rule 100"
                      counter drop comment "rule *"

A packet that was lifted for an ENI of its own subnet meets none, but a Classic Load Balancer's
does (VPC User Guide, "Control subnet traffic with network access control lists").

Between a transit gateway and an instance the subnet of the attachment is asked too: inbound about
what goes to the gateway, outbound about what comes from it.  What comes from it for an instance in
that same subnet meets no list (Transit Gateway Guide, "Network ACLs for transit gateways").
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from testbed.net.facts import ChainRule, Fact, NftChain, NftElement, NftSet
from testbed.net.netfilter.spelling import icmp_code, icmp_type, other_protocol
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.routing import LIFTED
from testbed.vpc.fabric.surroundings import Attached
from testbed.vpc.model import Vpc
from testbed.vpc.naming import bridge, router
from testbed.vpc.security.model import (
    ALL,
    ALL_PORTS,
    ANYWHERE,
    PORTED,
    AclEntry,
    NetworkAcl,
)
from testbed.vpc.security.permissions import Direction

FAMILY, TABLE = "ip", "vpc"
HAIRPINS = "hairpins"
BALANCERS = "classic-load-balancers"
SIDES: Mapping[Direction, tuple[str, str]] = {
    "out": ("iifname", "ip daddr"),
    "in": ("oifname", "ip saddr"),
}
# What comes from a transit gateway, asked before the subnets' own; what goes to it, after
FROM_TRANSIT, TO_TRANSIT = "acls-from-transit", "acls-to-transit"
TRANSIT: Mapping[str, str] = {
    FROM_TRANSIT: "what comes from a transit gateway leaves the attachment's subnet",
    TO_TRANSIT: "what goes to a transit gateway enters the attachment's subnet",
}
# It matches nothing: a rule that asks conntrack makes the kernel put fragments together, so that
# the ports of a datagram count for all of it.
REASSEMBLED = ChainRule("ct state untracked continue", "rules see whole datagrams")
LAST = "*"  # the rule that denies what no entry matches


def stage(vpc: Vpc, attached: Iterable[Attached] = ()) -> tuple[ChainRule, ...]:
    """The rules of the forward chain's stage; none where every subnet has an open ACL."""
    if not vpc.network_acls:
        return ()
    hairpins = ChainRule(
        f"iifname . oifname @{HAIRPINS} return", "the topology's aclsMeetHairpins is false"
    )
    inside = f"meta mark & 0x{LIFTED:08x} == 0x{LIFTED:08x}"
    others = f"ip saddr != @{BALANCERS} ip daddr != @{BALANCERS}"
    by_subnet = [
        ChainRule(f"{device} vmap @acls-{direction}", f"the ACL of the subnet, {direction}bound")
        for direction, (device, _) in SIDES.items()
    ]
    before, after = (
        [ChainRule(f"iifname . oifname vmap @{name}", why)] if tuple(attached) else []
        for name, why in TRANSIT.items()
    )
    return (
        REASSEMBLED,
        ChainRule(f"{inside} {others} return", "traffic inside a subnet meets no network ACL"),
        *([] if vpc.acls_meet_hairpins else [hairpins]),
        *before,
        *by_subnet,
        *after,
    )


def acl_facts(vpc: Vpc, enis: Iterable[Eni], attached: Iterable[Attached] = ()) -> Iterator[Fact]:
    """The network ACLs that a VPC describes, and which subnets have them."""
    if not vpc.network_acls:
        return
    ns, known = router(vpc.name), {acl.name for acl in vpc.network_acls}
    yield from _balancers(ns, enis)
    if not vpc.acls_meet_hairpins:
        yield from _hairpins(ns, vpc)
    if attached := tuple(attached):
        yield from _transit(ns, vpc, attached)
    for acl in vpc.network_acls:
        for direction in SIDES:
            yield _chain(ns, acl, direction)
    yield from _associations(ns, vpc, known)


def _associations(ns: str, vpc: Vpc, known: Collection[str]) -> Iterator[Fact]:
    """Which subnet has which ACL, of those that are described."""
    for direction in SIDES:
        yield NftSet(
            ns=ns,
            family=FAMILY,
            table=TABLE,
            name=f"acls-{direction}",
            key_type="ifname",
            value_type="verdict",
        )
        for subnet in vpc.subnets:
            if subnet.network_acl in known:
                yield NftElement(
                    ns=ns,
                    family=FAMILY,
                    table=TABLE,
                    set=f"acls-{direction}",
                    element=f'"{bridge(subnet)}"',
                    value=f"jump acl/{subnet.network_acl}/{direction}",
                    why=f"subnet {subnet.name} has the network ACL {subnet.network_acl}",
                )


def _hairpins(ns: str, vpc: Vpc) -> Iterator[Fact]:
    why = "in and out by one subnet, by way of the router"
    key = "ifname . ifname"
    yield NftSet(ns=ns, family=FAMILY, table=TABLE, name=HAIRPINS, key_type=key, why=why)
    for subnet in vpc.subnets:
        own = f'"{bridge(subnet)}"'
        yield NftElement(
            ns=ns, family=FAMILY, table=TABLE, set=HAIRPINS, element=f"{own} . {own}", why=why
        )


def _transit(ns: str, vpc: Vpc, attached: tuple[Attached, ...]) -> Iterator[Fact]:
    """The ACL of the attachment's subnet: the one of the instance's zone, else the first."""
    for name, why in TRANSIT.items():
        yield NftSet(
            ns=ns,
            family=FAMILY,
            table=TABLE,
            name=name,
            key_type="ifname . ifname",
            value_type="verdict",
            why=why,
        )
    known = {acl.name for acl in vpc.network_acls}
    for one in attached:
        own = [subnet for subnet in vpc.subnets if subnet.name in one.subnets]
        zones = {subnet.availability_zone: subnet for subnet in reversed(own)}
        for subnet in vpc.subnets:
            at = zones.get(subnet.availability_zone, own[0])
            jump = f"jump acl/{at.network_acl}" if at.network_acl in known else ""
            to, back = (f'"{one.device}"', f'"{bridge(subnet)}"'), f"of {at.name}"
            if at == subnet:
                yield _verdict(ns, FROM_TRANSIT, to, "return", "into the attachment's own subnet")
            elif jump:
                yield _verdict(ns, FROM_TRANSIT, to, f"{jump}/out", f"the ACL {back}, outbound")
            if jump:
                yield _verdict(ns, TO_TRANSIT, to[::-1], f"{jump}/in", f"the ACL {back}, inbound")


def _verdict(ns: str, into: str, between: tuple[str, ...], verdict: str, why: str) -> NftElement:
    return NftElement(
        ns=ns,
        family=FAMILY,
        table=TABLE,
        set=into,
        element=" . ".join(between),
        value=verdict,
        why=why,
    )


def _balancers(ns: str, enis: Iterable[Eni]) -> Iterator[Fact]:
    why = "a Classic Load Balancer's traffic meets the ACL inside its subnet too (VPC User Guide)"
    yield NftSet(ns=ns, family=FAMILY, table=TABLE, name=BALANCERS, key_type="ipv4_addr", why=why)
    for eni in enis:
        if eni.interface_type == "load_balancer":
            yield NftElement(
                ns=ns,
                family=FAMILY,
                table=TABLE,
                set=BALANCERS,
                element=str(eni.primary),
                why=why,
            )


def _chain(ns: str, acl: NetworkAcl, direction: Direction) -> NftChain:
    entries = acl.egress if direction == "out" else acl.ingress
    _, side = SIDES[direction]
    last = ChainRule(
        f'counter drop comment "rule {LAST}"',
        f"SUBNET_ACL_RESTRICTION: no {direction}bound rule of {acl.name} matches",
    )
    rules = [
        _rule(acl, entry, side) for entry in sorted(entries, key=lambda entry: entry.rule_number)
    ]
    name = f"acl/{acl.name}/{direction}"
    why = f"network ACL {acl.name}, {direction}bound: the lowest number that matches decides"
    return NftChain(ns=ns, family=FAMILY, table=TABLE, name=name, rules=(*rules, last), why=why)


def _rule(acl: NetworkAcl, entry: AclEntry, side: str) -> ChainRule:
    word = "to" if side == "ip daddr" else "from"
    why = f"{acl.name} {entry.rule_number}: {entry.action} {entry.named} {word} {entry.cidr}"
    verdict = "return" if entry.action == "allow" else "counter drop"
    matches = [*_peer(entry, side), *_traffic(entry)]
    words = [*matches, verdict, f'comment "rule {entry.rule_number}"']
    return ChainRule(" ".join(words), why)


def _peer(entry: AclEntry, side: str) -> Iterator[str]:
    if entry.cidr.prefixlen == 32:
        yield f"{side} {entry.cidr.network_address}"
    elif entry.cidr != ANYWHERE:
        yield f"{side} {entry.cidr}"


def _traffic(entry: AclEntry) -> Iterator[str]:
    """Of protocols but TCP, UDP and ICMP all packets match, whatever the ports say."""
    if entry.protocol == "icmp" and entry.icmp_type >= 0:
        yield f"icmp type {icmp_type(entry.icmp_type)}"
        if entry.icmp_code >= 0:
            yield f"icmp code {icmp_code(entry.icmp_code)}"
    elif entry.protocol in PORTED and entry.numbers != ALL_PORTS:
        yield f"{entry.protocol} dport {entry.numbers}"
    elif entry.protocol.isdigit():
        yield other_protocol(entry.protocol)
    elif entry.protocol != ALL:
        yield f"meta l4proto {entry.protocol}"
