"""What aws-node does to a node's kernel when it starts on a node that it has been on before.

It writes less than is planned: nobody but a pod's ADD writes its route and rule 512, and rule 1536
is rewritten only for a pod that still has one.
Sources: amazon-vpc-cni-k8s v1.23.1 nodeInit, SetupHostNetwork, SetupENINetwork,
UpdateRuleListBySrc, PruneStaleAllocations; v1.5.7 the same but for the last.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

from testbed.eks.wiring.connmark import CHAIN as MARKS
from testbed.eks.wiring.connmark import NFT_TABLE
from testbed.eks.wiring.node import FROM_ENI, FROM_EXTERNAL, TO_EXTERNAL_SERVICE
from testbed.eks.wiring.pod import FROM_POD, TO_POD
from testbed.eks.wiring.snat import CHAIN as SNAT
from testbed.net.drift.diff import connected_route
from testbed.net.facts import (
    MAIN,
    Address,
    Chain,
    ChainRule,
    Fact,
    IpNetwork,
    NftChain,
    Route,
    Rule,
    State,
    Sysctl,
    Veth,
)

ENI = re.compile(r"eth\d{1,2}")
SECONDARY_ENI = re.compile(r"eth[1-9]\d?")
OF_THE_CNI = '--comment "AWS'  # in its rules of chains that others write as well
LAST = '--comment "AWS, CONNMARK" -j CONNMARK --restore-mark'  # deleted and appended, each time
RULES = (FROM_EXTERNAL, TO_EXTERNAL_SERVICE, FROM_ENI)
SYSCTLS = ("net.ipv4.conf.eth0.rp_filter", "net.ipv4.tcp_early_demux")


@dataclass(frozen=True)
class Node:
    """A node's part of what is planned and of what was found.

    pods: the addresses of the pods ipamD knows.  stale: of those whose veth is gone.
    """

    planned: State
    found: State
    pods: Collection[IPv4Network] = ()
    stale: Collection[IPv4Network] = ()


def without_enis(node: Node) -> State:
    """The node at the moment in which its secondary ENIs have no address.

    The kernel drops the routes of a device with its last address, in every table.
    """
    return frozenset(fact for fact in node.found if not _goes_with_address(fact))


def _goes_with_address(fact: Fact) -> bool:
    if not isinstance(fact, Address | Route):
        return False
    return bool(SECONDARY_ENI.fullmatch(fact.dev))


def started(node: Node) -> State:
    """The node when aws-node is ready: what was found, with what it removes and writes."""
    written = frozenset(_written(node))
    keys = {fact.key for fact in written}
    kept = (fact for fact in node.found if fact.key not in keys and not _removed(fact, node))
    return frozenset(kept) | written


def _written(node: Node) -> Iterator[Fact]:
    ruled = {
        fact.src for fact in node.found if isinstance(fact, Rule) and fact.priority == FROM_POD
    }
    for fact in node.planned:
        if isinstance(fact, Chain) and any(OF_THE_CNI in rule.text for rule in fact.rules):
            yield fact if _is_own(fact) else _shared(fact, node.found)
        elif _is_own(fact) or (isinstance(fact, Rule) and _is_of_pod(fact, ruled)):
            yield fact


def _is_of_pod(rule: Rule, ruled: Collection[IpNetwork]) -> bool:
    return rule.priority == FROM_POD and rule.src in ruled


def _is_own(fact: Fact) -> bool:
    """Whether it is written at each start, and by nobody else."""
    match fact:
        case Rule(priority=priority):
            return priority in RULES
        case Veth(name=name):
            return bool(ENI.fullmatch(name))
        case Sysctl(name=name):
            return name in SYSCTLS
        case NftChain(table=table):
            return table == NFT_TABLE
        case Chain(name=name):
            return name.startswith((SNAT, MARKS))
        case _:
            return _goes_with_address(fact)


def _shared(planned: Chain, found: State) -> Chain:
    """A chain in which the CNI finds what it looks for, and appends what it does not find."""
    there = [fact.rules for fact in found if isinstance(fact, Chain) and fact.key == planned.key]
    rules = [rule for rule in (there[0] if there else ()) if LAST not in rule.text]
    own = [rule for rule in planned.rules if OF_THE_CNI in rule.text]
    return Chain(
        ns=planned.ns,
        table=planned.table,
        name=planned.name,
        policy=planned.policy,
        rules=(*rules, *_missing(own, rules)),
        why=planned.why,
    )


def _missing(wanted: Iterable[ChainRule], there: Collection[ChainRule]) -> list[ChainRule]:
    return [rule for rule in wanted if rule not in there]


def _removed(fact: Fact, node: Node) -> bool:
    """Whether it looks for this and takes it away; what is planned is written again."""
    match fact:
        case Rule(priority=priority, dst=dst, table=table) if priority == TO_POD:
            return dst in node.stale and table == MAIN
        case Rule(priority=priority, src=src) if priority == FROM_POD:
            return src in node.stale or src in node.pods
        case Rule(priority=priority):
            return priority == TO_EXTERNAL_SERVICE
        case Address(dev=dev):
            return bool(SECONDARY_ENI.fullmatch(dev))
        case Route(dev=dev) if SECONDARY_ENI.fullmatch(dev):
            return fact in _connected(node.planned)
        case _:
            return False


def _connected(planned: State) -> frozenset[Route]:
    """The routes that the kernel makes with the ENIs' addresses."""
    return frozenset(
        connected_route(fact)
        for fact in planned
        if isinstance(fact, Address) and SECONDARY_ENI.fullmatch(fact.dev)
    )
