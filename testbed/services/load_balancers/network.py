"""Network Load Balancers: in each zone a namespace that translates flows to targets.

    tcp dport 80 jhash ip saddr . tcp sport mod 2 seed 0x1 vmap { 0 : goto tcp-80/node-1, … }
    tcp-80/node-1     meta l4proto tcp dnat to 10.0.1.4:31787

A flow stays with its target (conntrack).  Where targets see the client its answers come back
here because the VPC's router remembers who forwarded it (vpc.load_balancers).
Source: Elastic Load Balancing, Network Load Balancers: "Listeners", "Target groups".
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from ipaddress import IPv4Address

from testbed.kubernetes.load_balancers.annotations import load_balancer
from testbed.kubernetes.load_balancers.model import LoadBalancer
from testbed.kubernetes.model import Service
from testbed.net import names
from testbed.net.facts import ChainRule, Fact, Netns, NftChain, Sysctl
from testbed.services.load_balancers import Balancer, relay
from testbed.services.load_balancers.health import Server
from testbed.services.load_balancers.source_ranges import (
    limits_clients,
    range_facts,
    range_rule,
)
from testbed.services.load_balancers.targets import Target, TargetGroup
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.instance import primary_facts
from testbed.vpc.fabric.load_balancers import NO_LISTENER, NO_TARGET, TABLE
from testbed.vpc.fabric.namespaces import forwarding
from testbed.vpc.fabric.subnets import JUMBO

FAMILY = "ip"
SEED = "0x1"  # of the hash: the same flow goes to the same target in every lab
TCP_IDLE_S, UDP_IDLE_S = 350, 120  # Network Load Balancers, "Connection idle timeout"
LONGEST = 100  # characters of a chain's name; nft allows 128
EPHEMERAL = "1024-65535"  # what it sends from where targets do not see the client


def network_facts(
    balancer: Balancer,
    eni: Eni,
    groups: Iterable[TargetGroup],
    unhealthy: Collection[tuple[str, Server]],
    *,
    guarded: bool,
) -> Iterator[Fact]:
    """Its namespace with its network interface, and where its flows go now.

    guarded: the targets by security groups, which know its clients.
    """
    ns, service = balancer.netns, balancer.service.qualified
    yield Netns(ns=ns, why=f"Service {service}'s Network Load Balancer in zone {balancer.zone}")
    yield from forwarding(ns)
    yield from primary_facts(eni, balancer.subnet, JUMBO)
    yield from _timers(ns)
    groups, wanted = tuple(groups), load_balancer(balancer.service)
    translated = [group for group in groups if not group.is_relayed]
    listeners = _listeners(ns, eni.primary, translated, unhealthy, sticky=wanted.sticky)
    yield _chain(ns, "listeners", listeners, hook=LISTENERS)
    for group in translated:
        for target in group.targets:
            yield _target(ns, group, target)
    yield _chain(ns, "clients", _clients(eni.primary, translated, wanted), hook=CLIENTS)
    if any(group.preserved for group in relay.relayed(groups)):
        yield from relay.transparent_facts(ns, eni.primary)
    kept_out = () if guarded else tuple(_kept_out(groups, balancer.service))
    if kept_out:
        yield from range_facts(ns, TABLE, balancer.service)
    yield _chain(ns, "forward", (*kept_out, *FORWARDED), hook=_filter("forward"))
    yield _chain(ns, "input", _input(groups, kept_out), hook=_filter("input"))


LISTENERS = "type nat hook prerouting priority dstnat; policy accept;"
CLIENTS = "type nat hook postrouting priority srcnat; policy accept;"
FORGOTTEN = ChainRule(
    "ct state invalid reject with tcp reset",
    f"a flow idle for {TCP_IDLE_S} s is forgotten, and what follows gets a RST",
)
FORWARDED = (
    ChainRule("ct status dnat accept", "flows that a listener took, both ways"),
    FORGOTTEN,
)


def _filter(hook: str) -> str:
    return f"type filter hook {hook} priority filter; policy drop;"


def _chain(ns: str, name: str, rules: Iterable[ChainRule], *, hook: str = "") -> NftChain:
    return NftChain(ns=ns, family=FAMILY, table=TABLE, name=name, hook=hook, rules=tuple(rules))


def _timers(ns: str) -> Iterator[Sysctl]:
    for name, value in (
        ("tcp_timeout_established", TCP_IDLE_S),
        ("udp_timeout", UDP_IDLE_S),
        ("udp_timeout_stream", UDP_IDLE_S),
        ("tcp_loose", 0),
    ):
        why = f"flows idle for {TCP_IDLE_S} s, of UDP {UDP_IDLE_S} s, are forgotten"
        yield Sysctl(ns=ns, name=f"net.netfilter.nf_conntrack_{name}", value=str(value), why=why)


def _listeners(
    ns: str,
    own: IPv4Address,
    groups: Iterable[TargetGroup],
    unhealthy: Collection[tuple[str, Server]],
    *,
    sticky: bool,
) -> Iterator[ChainRule]:
    """The hash of a flow's five parts chooses among the healthy targets, or among all.

    Two of the five are the rule's own: the protocol and the port that was called.  sticky: the
    client's address alone chooses (Target groups, "Sticky sessions").
    """
    for group in groups:
        sick = {of.target for by, of in unhealthy if (by, of.listener) == (ns, group.listener)}
        healthy = [target for target in group.targets if target.name not in sick]
        chosen = healthy or group.targets
        if chosen:
            ways = ", ".join(f"{i} : goto {_way(group, one)}" for i, one in enumerate(chosen))
            of = "ip saddr" if sticky else f"ip saddr . {group.protocol} sport"
            flow = f"jhash {of} mod {len(chosen)} seed {SEED}"
            called = f"ip daddr {own} {group.protocol} dport {group.port}"
            whose = "client" if sticky else "flow"
            why = f"the {whose}'s hash chooses one of {len(chosen)} targets"
            why += "" if healthy else "; none is healthy, so all are taken (fail open)"
            yield ChainRule(f"{called} {flow} vmap {{ {ways} }}", why)


def _target(ns: str, group: TargetGroup, target: Target) -> NftChain:
    to = f"meta l4proto {group.protocol} dnat to {target.ip}:{target.port}"
    rule = ChainRule(to, f"to {target.name}, a target of the listener on port {group.port}")
    return _chain(ns, _way(group, target), (rule,))


def _way(group: TargetGroup, target: Target) -> str:
    """The chain that translates to a target."""
    name = f"{group.listener}/{target.name}"
    if len(name) <= LONGEST:
        return name
    return f"{group.listener}/{names.digest('way', name, length=12)}"


def _clients(
    own: IPv4Address, groups: Iterable[TargetGroup], wanted: LoadBalancer
) -> Iterator[ChainRule]:
    """Where targets do not see the client: they see the load balancer."""
    protocols = dict.fromkeys(group.protocol for group in groups)
    for protocol in protocols:
        if not wanted.preserves(protocol.upper()):
            text = f"ct status dnat meta l4proto {protocol} snat to {own}:{EPHEMERAL}"
            yield ChainRule(text, "preserve_client_ip.enabled is false")


def _kept_out(groups: Iterable[TargetGroup], service: Service) -> Iterator[ChainRule]:
    """Who is no client, where targets would see who calls: else their groups cannot know."""
    wanted = load_balancer(service)
    for protocol in dict.fromkeys(group.protocol for group in groups):
        if limits_clients(service) and wanted.preserves(protocol.upper()):
            yield range_rule(f"ct direction original meta l4proto {protocol}")


def _input(groups: Sequence[TargetGroup], kept_out: Sequence[ChainRule]) -> Iterator[ChainRule]:
    """For the load balancer itself are answers to its health checks, and what it relays."""
    yield ChainRule("ct state established,related accept", "answers to health checks")
    if relay.relayed(groups):
        yield from kept_out
        yield from relay.accepted(groups)
    for group in groups:
        if not group.targets:
            text = f'{group.protocol} dport {group.port} counter drop comment "{NO_TARGET}"'
            yield ChainRule(text, "ELBV2_NO_TARGETS_IN_AZ")
    yield FORGOTTEN
    yield ChainRule(f'counter drop comment "{NO_LISTENER}"', "ELBV2_LISTENERS_MISMATCH")
