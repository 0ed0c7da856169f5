"""The way back to Network Load Balancers: they send targets packets with their clients' addresses.

The router's conntrack remembers which load balancer forwarded a flow; answers go to that one,
whatever their destination.  For nlb-web-us-west-2a at 10.0.101.5, whose number is 0x128:

    ct state new ether saddr 06:… ct mark set ct mark | 0x00000128
    ct direction reply ct mark & 0x0000fff8 == 0x00000128 meta mark set meta mark | 0x00000128
    40:    from all fwmark 0x128/0xfff8 lookup 10037
    ip route show table 10037      default via 10.0.101.5 dev public-a onlink
"""

from collections.abc import Iterable, Iterator

from testbed.net import names
from testbed.net.facts import ANYWHERE, ChainRule, Fact, NftChain, Route, Rule
from testbed.vpc.eni import Eni
from testbed.vpc.model import Vpc
from testbed.vpc.naming import bridge, router

TABLE, CLASSIC_TABLE = "nlb", "elb"  # of nft, in the load balancers' namespaces
# comments of their rules that drop
NO_LISTENER, NO_TARGET, SOURCE_RANGES = "no listener", "no target", "source ranges"

# Bits of the router's packet marks and of its connections' marks: beside those of routing, fabric
# (0x3) and security.tracking (0x7 and the upper half).
MARK_SHIFT, MARK_MASK = 3, 0xFFF8
MOST = MARK_MASK >> MARK_SHIFT
BACK = 40  # the priority of the rules: no route table has a say, nor that a target is near
FIRST_TABLE = 10_000  # of the routing tables, each with one route


def back_facts(vpc: Vpc, enis: Iterable[Eni]) -> Iterator[Fact]:
    """What the router of a VPC remembers, and where answers go; nothing without such a thing."""
    own = {eni.id: eni for eni in enis if eni.interface_type == "network_load_balancer"}
    if not own:
        return
    ns, subnets = router(vpc.name), {subnet.name: subnet for subnet in vpc.subnets}
    rules: list[ChainRule] = []
    for eni_id, number in _numbers(own).items():
        eni, mark = own[eni_id], number << MARK_SHIFT
        dev, why = bridge(subnets[eni.subnet]), f"answers to what {eni.instance} forwarded"
        rules += _rules(eni, mark)
        table = FIRST_TABLE + number
        yield Rule(ns=ns, priority=BACK, fwmark=mark, fwmask=MARK_MASK, table=table, why=why)
        yield Route(
            ns=ns, table=table, dst=ANYWHERE, via=eni.primary, dev=dev, onlink=True, why=why
        )
    hook = "type filter hook prerouting priority mangle; policy accept;"
    yield NftChain(ns=ns, family="ip", table="vpc", name="balanced", hook=hook, rules=tuple(rules))


def _rules(eni: Eni, mark: int) -> Iterator[ChainRule]:
    yield ChainRule(
        f"ct state new ether saddr {eni.mac} ct mark set ct mark | 0x{mark:08x}",
        f"{eni.instance} forwards this flow",
    )
    yield ChainRule(
        f"ct direction reply ct mark & 0x{MARK_MASK:08x} == 0x{mark:08x}"
        f" meta mark set meta mark | 0x{mark:08x}",
        f"an answer to what {eni.instance} forwarded: back to it",
    )


def _numbers(ids: Iterable[str]) -> dict[str, int]:
    """A number from 1 for each, which others that come and go change only if they share it."""
    taken: dict[int, str] = {}
    for one in sorted(ids):
        number = int(names.digest("balanced", one, length=8), 16) % MOST
        while number + 1 in taken:
            number = (number + 1) % MOST
        taken[number + 1] = one
    return {one: number for number, one in taken.items()}
