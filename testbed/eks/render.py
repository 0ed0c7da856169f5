"""A node and a pod as their tools would print them, made from the plan alone.  Pure.

The stable surface for comparing with a real node: the CNI's part, without kube-proxy's.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any, TypeVar

from testbed.description.problem import unknown
from testbed.eks.conflist import PATH, conflist
from testbed.eks.model import EksCluster, Profile
from testbed.eks.wiring.node import node_facts
from testbed.eks.wiring.pod import host_port_facts, pod_facts
from testbed.errors import UsageError
from testbed.kubernetes.model import Node, Pod
from testbed.kubernetes.placement import PodAddress
from testbed.net import names
from testbed.net.drift.diff import implied
from testbed.net.drift.order import writing_order
from testbed.net.facts import (
    MAIN,
    Address,
    Chain,
    ChainPiece,
    Fact,
    Neighbour,
    NftChain,
    Route,
    Rule,
    Sysctl,
    Veth,
)
from testbed.net.netfilter.iptables import merge, restore_text
from testbed.net.netfilter.listing import listing
from testbed.net.show import show, table_name
from testbed.vpc.eni import Eni
from testbed.vpc.model import Subnet, Vpc

_Fact = TypeVar("_Fact", bound=Fact)


@dataclass(frozen=True)
class Wired:
    """One node of a cluster with its ENIs and the pods that run on it."""

    cluster: EksCluster
    vpc: Vpc
    node: Node
    enis: tuple[Eni, ...]
    pods: tuple[PodAddress, ...]


@dataclass(frozen=True)
class RenderedPod:
    """What `ip link`, `ip address`, `ip route` and `ip neighbour` print in a pod."""

    name: str
    links: tuple[str, ...]
    addresses: tuple[str, ...]
    routes: tuple[str, ...]
    neighbours: tuple[str, ...]


@dataclass(frozen=True)
class Rendered:
    """What `ip`, `sysctl`, `iptables-save` and `nft list ruleset` print in a node.

    tables: by their names.  iptables: as `iptables-restore` reads it.  nftables: empty where
    iptables does it all.  conflist: the CNI's configuration file.  pod: None on an empty node.
    """

    node: str
    profile: Profile
    rules: tuple[str, ...]
    tables: Mapping[str, tuple[str, ...]]
    links: tuple[str, ...]
    addresses: tuple[str, ...]
    sysctls: Mapping[str, str]
    iptables: str
    nftables: str
    conflist: Mapping[str, Any]
    pod: RenderedPod | None


def example(profile: Profile = "current") -> Wired:
    """The smallest node that shows all: two ENIs, Pod1 on eth0 and Pod2 on eth1."""
    vpc = Vpc(
        "main",
        (IPv4Network("10.10.0.0/16"),),
        (Subnet("a", IPv4Network("10.10.0.0/19"), "us-west-2a"),),
    )
    node = Node("node-1", "a", "t3.small")
    pods = (Pod("pod-1", node="node-1"), Pod("pod-2", node="node-1"))
    given = (("10.10.0.10", "10.10.0.101"), ("10.10.0.20", "10.10.0.102"))
    return Wired(
        EksCluster("eks", "main", (node,), pods, profile=profile),
        vpc,
        node,
        enis=tuple(_eni(index, *addresses) for index, addresses in enumerate(given)),
        pods=tuple(
            PodAddress(pod.netns, "eks", "node-1", index, IPv4Address(given[index][1]))
            for index, pod in enumerate(pods)
        ),
    )


def render(wired: Wired, pod: str = "") -> Rendered:
    """A node, and one of its pods: the first where none is named.

    Raises UsageError when there is no such pod.
    """
    facts = tuple(_facts(wired))
    found = (*facts, *implied(frozenset(facts)))
    own = [fact for fact in found if fact.ns == wired.node.name]
    pieces = [fact for fact in own if isinstance(fact, ChainPiece)]
    chains = [fact for fact in own if isinstance(fact, Chain)]
    rules = sorted(_of(own, Rule), key=lambda rule: rule.priority)
    chosen = _chosen(wired, pod)
    return Rendered(
        node=wired.node.name,
        profile=wired.cluster.profile,
        rules=tuple(map(show, rules)),
        tables=_tables(own),
        links=_lines(own, Veth),
        addresses=_lines(own, Address),
        sysctls={fact.name: fact.value for fact in _of(own, Sysctl)},
        iptables=restore_text([*merge(pieces), *chains]),
        nftables=listing(fact for fact in own if isinstance(fact, NftChain)),
        conflist=conflist(wired.cluster),
        pod=_pod(chosen, [fact for fact in found if fact.ns == chosen]) if chosen else None,
    )


def to_json(rendered: Rendered) -> Any:
    """The same as JSON values."""
    return asdict(rendered)


def to_text(rendered: Rendered) -> str:
    """The same as sections, each below the command that prints it on a real node."""
    return "\n".join(_section(*section) for section in _sections(rendered))


def _eni(index: int, *addresses: str) -> Eni:
    return Eni(
        id=f"eni-{names.digest('node-1', str(index), length=17)}",
        mac=names.mac("node-1", f"eth{index}"),
        vpc="main",
        subnet="a",
        addresses=tuple(map(IPv4Address, addresses)),
        instance="node-1",
        device_index=index,
    )


def _facts(wired: Wired) -> Iterator[Fact]:
    yield from node_facts(wired.cluster, wired.vpc, wired.node, wired.enis)
    pods = {pod.netns: pod for pod in wired.cluster.pods}
    for placed in wired.pods:
        yield from pod_facts(wired.cluster, wired.vpc, pods[placed.pod], placed)
    yield from host_port_facts(wired.cluster, wired.pods)


def _chosen(wired: Wired, pod: str) -> str:
    running = [placed.pod for placed in wired.pods if not placed.host_network]
    if pod and pod not in running:
        raise UsageError(unknown("pod", pod, running) + f" on {wired.node.name}")
    return pod or next(iter(running), "")


def _of(facts: Iterable[Fact], kind: type[_Fact]) -> list[_Fact]:
    """The facts of a kind, in the order in which they are written."""
    return [fact for fact in writing_order(facts) if isinstance(fact, kind)]


def _lines(facts: Iterable[Fact], kind: type[Fact]) -> tuple[str, ...]:
    return tuple(map(show, _of(facts, kind)))


def _tables(facts: Iterable[Fact]) -> dict[str, tuple[str, ...]]:
    """The routes of each table by destination, as the kernel lists them; main first."""
    tables: dict[int, list[Route]] = {MAIN: []}
    for fact in sorted(_of(facts, Route), key=lambda route: (route.table, _place(route))):
        tables.setdefault(fact.table, []).append(replace(fact, table=MAIN))
    return {table_name(table): tuple(map(show, routes)) for table, routes in tables.items()}


def _place(route: Route) -> tuple[int, int]:
    return int(route.dst.network_address), -route.dst.prefixlen  # net/ipv4/fib_trie.c


def _pod(name: str, facts: Iterable[Fact]) -> RenderedPod:
    facts = list(facts)
    return RenderedPod(
        name=name,
        links=_lines(facts, Veth),
        addresses=_lines(facts, Address),
        routes=_tables(facts)[table_name(MAIN)],
        neighbours=_lines(facts, Neighbour),
    )


def _sections(rendered: Rendered) -> Iterator[tuple[str, str, Sequence[str]]]:
    node = rendered.node
    yield node, "ip rule", rendered.rules
    for table, routes in rendered.tables.items():
        yield node, f"ip route show table {table}", routes
    yield node, "ip link", rendered.links
    yield node, "ip address", rendered.addresses
    yield node, "sysctl -a", [f"{name} = {value}" for name, value in rendered.sysctls.items()]
    yield node, "iptables-save", rendered.iptables.splitlines()
    if rendered.nftables:
        yield node, "nft -s list ruleset", rendered.nftables.splitlines()
    yield node, f"cat {PATH}", json.dumps(rendered.conflist, indent=2).splitlines()
    if pod := rendered.pod:
        yield pod.name, "ip link", pod.links
        yield pod.name, "ip address", pod.addresses
        yield pod.name, "ip route", pod.routes
        yield pod.name, "ip neighbour", pod.neighbours


def _section(place: str, command: str, lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in (f"# {place}: {command}", *lines))
