"""kube-proxy's chains on the nodes of a cluster: what is sent to a Service goes to an endpoint.

Texts are as `iptables-save` prints them.  Source: kubernetes v1.14,
pkg/proxy/iptables/proxier.go, syncProxyRules.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

from testbed.net.facts import Chain, ChainPiece, ChainRule, Fact, Sysctl
from testbed.services.kubelet import MASQUERADE, kubelet_facts
from testbed.services.port_rules import (
    EXTERNAL_SERVICES,
    NODE_PORTS,
    SERVICES,
    port_rules,
)
from testbed.services.proxied import ProxiedPort

OWNER = "kube-proxy"
POSITION = 100  # it keeps inserting its jumps in front of everybody else's
FORWARD = "KUBE-FORWARD"
WHY = "kube-proxy's own (kubernetes v1.14)"

CONNECTION_S, CLOSE_WAIT_S = 86400, 3600  # --conntrack-tcp-timeout-established, -close-wait

NEW = "-m conntrack --ctstate NEW "
ANSWER = "-m conntrack --ctstate RELATED,ESTABLISHED"

Chains = dict[tuple[str, str], list[ChainRule]]


def node_facts(
    nodes: Iterable[str], ports: Iterable[ProxiedPort], cluster_cidr: IPv4Network | None
) -> Iterator[Fact]:
    """What kubelet and kube-proxy write on every node of a cluster: the same on each.

    cluster_cidr: the pods' range, where kube-proxy is told it.
    """
    own = [
        (table, name, tuple(rules)) for (table, name), rules in _own(ports, cluster_cidr).items()
    ]
    for node in nodes:
        yield from kubelet_facts(node)
        for table, name, rules in own:
            yield Chain(ns=node, table=table, name=name, rules=rules, why=WHY)
        yield from _jumps(node)
        yield from _sysctls(node)


def _own(ports: Iterable[ProxiedPort], cluster_cidr: IPv4Network | None) -> Chains:
    """The chains that are kube-proxy's alone."""
    chains: Chains = {
        ("nat", SERVICES): [],
        ("nat", NODE_PORTS): [],
        ("filter", SERVICES): [],
        ("filter", EXTERNAL_SERVICES): [],
        ("filter", FORWARD): list(_forward(cluster_cidr)),
    }
    for port in ports:
        for table, chain, rule in port_rules(port, cluster_cidr):
            chains.setdefault((table, chain), []).append(rule)
    chains["nat", SERVICES].append(_TO_NODE_PORTS)
    return chains


def _forward(cluster_cidr: IPv4Network | None) -> Iterator[ChainRule]:
    """What is accepted although the policy of FORWARD may be DROP, as Docker makes it."""
    yield ChainRule(
        f"{_comment('kubernetes forwarding rules')} "
        f"-m mark --mark {MASQUERADE}/{MASQUERADE} -j ACCEPT",
        "a Service's connection that gets this node's address may pass the node",
    )
    if cluster_cidr:
        for option, end in (("-s", "source"), ("-d", "destination")):
            comment = _comment(f"kubernetes forwarding conntrack pod {end} rule")
            yield ChainRule(
                f"{option} {cluster_cidr} {comment} {ANSWER} -j ACCEPT",
                f"what belongs to a connection may pass the node, a pod being its {end}",
            )


def _jumps(node: str) -> Iterator[ChainPiece]:
    """kube-proxy's rules in the built-in chains, in the order that its inserting leaves.

    The jump to KUBE-POSTROUTING is kubelet's too, and kubelet was first.
    """
    portals = _comment("kubernetes service portals")
    external = _comment("kubernetes externally-visible service portals")
    translate = ChainRule(f"{portals} -j {SERVICES}", "is it for a Service?")
    refuse = ChainRule(
        f"{NEW}{portals} -j {SERVICES}", "a new connection: is it for a Service without endpoints?"
    )
    refuse_external = ChainRule(
        f"{NEW}{external} -j {EXTERNAL_SERVICES}",
        "a new connection: is it for a node port without endpoints?",
    )
    forward = ChainRule(
        f"{_comment('kubernetes forwarding rules')} -j {FORWARD}",
        "passing through the node: Services' connections are accepted",
    )
    yield _piece(node, "nat", "PREROUTING", translate)
    yield _piece(node, "nat", "OUTPUT", translate)
    yield _piece(node, "filter", "INPUT", refuse, refuse_external)
    yield _piece(node, "filter", "FORWARD", forward, refuse)
    yield _piece(node, "filter", "OUTPUT", refuse)


def _piece(node: str, table: str, chain: str, *rules: ChainRule) -> ChainPiece:
    return ChainPiece(
        ns=node,
        table=table,
        chain=chain,
        owner=OWNER,
        position=POSITION,
        rules=rules,
        why=f"kube-proxy's rules in {table} {chain} (kubernetes v1.14)",
    )


def _sysctls(node: str) -> Iterator[Sysctl]:
    """Of those kube-proxy sets, the ones that a namespace has for itself."""
    wanted = [
        ("ipv4.conf.all.route_localnet", 1, "127.0.0.1:NODEPORT reaches the Service (kube-proxy)"),
        ("netfilter.nf_conntrack_tcp_timeout_established", CONNECTION_S, "kube-proxy's default"),
        ("netfilter.nf_conntrack_tcp_timeout_close_wait", CLOSE_WAIT_S, "kube-proxy's default"),
    ]
    for name, value, why in wanted:
        yield Sysctl(ns=node, name=f"net.{name}", value=str(value), why=why)


def _comment(text: str) -> str:
    return f'-m comment --comment "{text}"'


_TO_NODE_PORTS = ChainRule(
    f"{_comment('kubernetes service nodeports; NOTE: this must be the last rule in this chain')} "
    f"-m addrtype --dst-type LOCAL -j {NODE_PORTS}",
    "to one of the node's own addresses: is it for a node port?",
)
