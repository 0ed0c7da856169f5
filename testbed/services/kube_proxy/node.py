"""Everything kube-proxy has on a node as facts: its chains, its jumps, its sysctls."""

from collections.abc import Iterable, Iterator

from testbed.kubernetes.kube_proxy import Era, KubeProxy
from testbed.net.facts import Chain, ChainPiece, ChainRule, Fact, Sysctl
from testbed.services.kube_proxy import era_1_14, era_current
from testbed.services.kube_proxy.nftables.port import port_facts
from testbed.services.kube_proxy.nftables.static import table_facts
from testbed.services.kube_proxy.ports import ProxiedPort
from testbed.services.kube_proxy.rules import Line, ProxyNode
from testbed.services.kube_proxy.static import JUMPS, empty_chains, first_rules, last_rules

OWNER = "kube-proxy"
POSITION = 100  # it keeps inserting its jumps in front of everybody else's
WHY: dict[Era, str] = {
    "1.14": "kube-proxy's own (kubernetes v1.14)",
    "current": "kube-proxy's own (kubernetes v1.30)",
}

LARGE_CLUSTER = 1000  # endpoints; with more the chains of endpoints have no comments (v1.30)
CONNECTION_S, CLOSE_WAIT_S = 86400, 3600  # --conntrack-tcp-timeout-established, -close-wait

Chains = dict[tuple[str, str], list[ChainRule]]


def node_facts(
    nodes: Iterable[ProxyNode], ports: Iterable[ProxiedPort], proxy: KubeProxy
) -> Iterator[Fact]:
    """What kube-proxy writes on every node of a cluster."""
    writes = _nftables if proxy.mode == "nftables" else _iptables
    nodes = tuple(nodes)
    yield from writes(nodes, tuple(ports), proxy)
    for node in nodes:
        yield from _sysctls(node.name, proxy)


def _nftables(
    nodes: tuple[ProxyNode, ...], ports: tuple[ProxiedPort, ...], proxy: KubeProxy
) -> Iterator[Fact]:
    for node in nodes:
        yield from table_facts(proxy, node)
        for port in ports:
            yield from port_facts(port, proxy, node)


def _iptables(
    nodes: tuple[ProxyNode, ...], ports: tuple[ProxiedPort, ...], proxy: KubeProxy
) -> Iterator[Fact]:
    assert proxy.era, "the cluster has filled it in"
    rules = PortRules(ports, proxy)
    why = WHY[proxy.era]
    for node in nodes:
        lines = [
            *empty_chains(proxy.era),
            *first_rules(proxy),
            *rules.on(node),
            *last_rules(proxy, node),
        ]
        for (table, name), own in gathered(lines).items():
            yield Chain(ns=node.name, table=table, name=name, rules=tuple(own), why=why)
        yield from _jumps(node.name, proxy.era)


class PortRules:
    """The rules of a cluster's ports.  State: those that are the same on all nodes, made once."""

    def __init__(self, ports: tuple[ProxiedPort, ...], proxy: KubeProxy) -> None:
        self._proxy = proxy
        self._silent = sum(len(port.backends) for port in ports) > LARGE_CLUSTER
        same = proxy.detect_local_mode != "NodeCIDR"
        anywhere = ProxyNode()
        self._lines = [
            (port, [*self.of(port, anywhere)] if same and not port.differs_by_node else None)
            for port in ports
        ]

    def of(self, port: ProxiedPort, node: ProxyNode) -> Iterator[Line]:
        """Those of one port on a node."""
        if self._proxy.era == "1.14":
            return era_1_14.port_rules(port, self._proxy, node)
        return era_current.port_rules(port, self._proxy, node, silent=self._silent)

    def on(self, node: ProxyNode) -> Iterator[Line]:
        """Those of all ports on a node, in the ports' order."""
        for port, lines in self._lines:
            yield from self.of(port, node) if lines is None else lines


def gathered(lines: Iterable[Line]) -> Chains:
    """The rules by table and chain."""
    chains: Chains = {}
    for table, chain, rule in lines:
        there = chains.setdefault((table, chain), [])
        if rule is not None:
            there.append(rule)
    return chains


def _jumps(node: str, era: Era) -> Iterator[ChainPiece]:
    for (table, chain), rules in JUMPS[era].items():
        yield ChainPiece(
            ns=node,
            table=table,
            chain=chain,
            owner=OWNER,
            position=POSITION,
            rules=rules,
            why=f"the jumps in {table} {chain}: {WHY[era]}",
        )


def _sysctls(node: str, proxy: KubeProxy) -> Iterator[Sysctl]:
    """Of those kube-proxy sets, the ones that a namespace has for itself."""
    wanted = [
        ("netfilter.nf_conntrack_tcp_timeout_established", CONNECTION_S, "kube-proxy's default"),
        ("netfilter.nf_conntrack_tcp_timeout_close_wait", CLOSE_WAIT_S, "kube-proxy's default"),
    ]
    if proxy.routes_localnet:
        why = "127.0.0.1:NODEPORT reaches the Service (kube-proxy)"
        wanted.append(("ipv4.conf.all.route_localnet", 1, why))
    if proxy.conntrack_tcp_be_liberal:
        why = "segments out of the window belong to their connection (--conntrack-tcp-be-liberal)"
        wanted.append(("netfilter.nf_conntrack_tcp_be_liberal", 1, why))
    for name, value, why in wanted:
        yield Sysctl(ns=node, name=f"net.{name}", value=str(value), why=why)
