"""Return to sender: a NAT gateway is answered by the peering it called through, route or not.

VPC User Guide, "NAT gateway basics".  In the router of the VPC that was called:

    80:     from all fwmark 0x8/0x8 lookup 1001      replies to NAT gateways of peers
    ip route show table 1001:  10.0.101.4 via 169.254.255.7 dev pcx-shared onlink
"""

from collections.abc import Iterable, Iterator, Mapping

from testbed.net.facts import ChainRule, Fact, NftChain, NftElement, NftSet, Route, Rule
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.routing import Hop, host

FAMILY, TABLE = "ip", "peering"
SENDERS = "nat-gateways"
RETURN = 80  # the priority of the router's rule, before any of the VPC's own
RETURNS = 1001  # its routing table
# Bits: of the connection's mark beside security.tracking's, of the packet's beside routing's
CALLED_BY_NAT, RETURNED = 0x4, 0x8

RULES = (
    ChainRule(
        f"iifname @links ip saddr @{SENDERS} ct direction original"
        f" ct mark set ct mark | 0x{CALLED_BY_NAT:08x}",
        "a peer's NAT gateway calls",
    ),
    ChainRule(
        f"ip daddr @{SENDERS} ct direction reply"
        f" ct mark & 0x{CALLED_BY_NAT:08x} == 0x{CALLED_BY_NAT:08x}"
        f" meta mark set meta mark | 0x{RETURNED:08x}",
        "return to sender (NAT gateway basics)",
    ),
)


def return_facts(ns: str, senders: Mapping[str, Hop], enis: Iterable[Eni]) -> Iterator[Fact]:
    """What a router does for NAT gateways of peered VPCs; nothing where they have none.

    senders: the peered VPCs by name, each with the way to it.
    """
    gateways = [eni for eni in enis if eni.vpc in senders and eni.interface_type == "nat_gateway"]
    if not gateways:
        return
    yield NftSet(ns=ns, family=FAMILY, table=TABLE, name=SENDERS, key_type="ipv4_addr")
    yield NftChain(
        ns=ns,
        family=FAMILY,
        table=TABLE,
        name="return-to-sender",
        hook="type filter hook prerouting priority mangle; policy accept;",
        rules=RULES,
        why="replies to a NAT gateway need no route",
    )
    yield Rule(
        ns=ns,
        priority=RETURN,
        fwmark=RETURNED,
        fwmask=RETURNED,
        table=RETURNS,
        why="a reply to a peer's NAT gateway needs no route (NAT gateway basics)",
    )
    for eni in gateways:
        via, dev = senders[eni.vpc]
        why = f"{eni.primary} is {eni.instance}'s, in the peered VPC {eni.vpc}"
        yield Route(
            ns=ns, table=RETURNS, dst=host(eni.primary), via=via, dev=dev, onlink=True, why=why
        )
        yield NftElement(
            ns=ns, family=FAMILY, table=TABLE, set=SENDERS, element=str(eni.primary), why=why
        )
