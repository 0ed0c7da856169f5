"""The iptables chains kubelet makes on every node; kube-proxy's and kubenet's rules use them.

Texts are as `iptables-save` prints them.  Source: kubernetes v1.14 and v1.30,
pkg/kubelet/kubelet_network_linux.go.
"""

from collections.abc import Iterator

from testbed.kubernetes.kube_proxy import KubeProxy
from testbed.net.facts import Chain, ChainPiece, ChainRule, Fact

OWNER = "kubelet"
POSITION = 110  # behind kube-proxy, which starts later and inserts at the front too

DROP = "0x8000"  # kubelet --iptables-drop-bit=15

MARK_MASQUERADE = "KUBE-MARK-MASQ"
MARK_DROP = "KUBE-MARK-DROP"
POSTROUTING = "KUBE-POSTROUTING"
FIREWALL = "KUBE-FIREWALL"
LOOPBACK = "127.0.0.0/8"
WHY = "kubelet's own (kubernetes v1.14)"

# empty: kubelet watches its canary; by the hint programs choose between iptables' variants
CANARY, HINT = "KUBE-KUBELET-CANARY", "KUBE-IPTABLES-HINT"
EMPTY = (("mangle", HINT), ("mangle", CANARY), ("nat", CANARY), ("filter", CANARY))


def kubelet_facts(node: str, proxy: KubeProxy) -> Iterator[Fact]:
    """The chains, in a node's namespace.

    proxy: whose --iptables-masquerade-bit is kubelet's too, as it has to be.
    """
    if proxy.era == "1.14":
        for table, name, rule in _own(proxy.masquerade_mark):
            yield Chain(ns=node, table=table, name=name, rules=(rule,), why=WHY)
        yield _piece(node, "nat", "POSTROUTING", TO_POSTROUTING)
    else:
        yield from _today(node)
    if proxy.era == "1.14" or proxy.mode == "nftables":  # else kube-proxy puts them in front again
        for chain in ("INPUT", "OUTPUT"):
            yield _piece(node, "filter", chain, TO_FIREWALL)


def _today(node: str) -> Iterator[Fact]:
    """What is left to it: since 1.28 the marks are kube-proxy's (KEP 3178)."""
    why = "kubelet's own (kubernetes v1.30)"
    for table, name in EMPTY:
        yield Chain(ns=node, table=table, name=name, why=why)
    yield Chain(ns=node, table="filter", name=FIREWALL, rules=(NO_MARTIANS,), why=why)


def _piece(node: str, table: str, chain: str, rule: ChainRule) -> ChainPiece:
    return ChainPiece(
        ns=node,
        table=table,
        chain=chain,
        owner=OWNER,
        position=POSITION,
        rules=(rule,),
        why=f"kubelet's rule in {table} {chain} (kubernetes v1.14)",
    )


def mark_rule(mark: str) -> ChainRule:
    """The rule of KUBE-MARK-MASQ.  mark: `0x4000`."""
    return ChainRule(
        f"-j MARK --set-xmark {mark}/{mark}",
        "note on the packet: give it this node's address when it leaves",
    )


def _masquerade_rule(mark: str) -> ChainRule:
    return ChainRule(
        '-m comment --comment "kubernetes service traffic requiring SNAT" '
        f"-m mark --mark {mark}/{mark} -j MASQUERADE",
        "noted before: the packet gets this node's address, so the answer comes back here",
    )


def _own(mark: str) -> Iterator[tuple[str, str, ChainRule]]:
    """By table and chain."""
    yield "nat", MARK_MASQUERADE, mark_rule(mark)
    yield "nat", MARK_DROP, _MARK_TO_DROP
    yield "nat", POSTROUTING, _masquerade_rule(mark)
    yield "filter", FIREWALL, _DROP_MARKED


NO_MARTIANS = ChainRule(
    f'! -s {LOOPBACK} -d {LOOPBACK} -m comment --comment "block incoming localnet connections" '
    "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
    "127.0.0.1 is for the node itself, also where route_localnet is on (CVE-2020-8558)",
)
_MARK_TO_DROP = ChainRule(
    f"-j MARK --set-xmark {DROP}/{DROP}",
    "note on the packet: drop it, which table nat cannot do itself",
)
_DROP_MARKED = ChainRule(
    '-m comment --comment "kubernetes firewall for dropping marked packets" '
    f"-m mark --mark {DROP}/{DROP} -j DROP",
    "noted before: dropped",
)
TO_POSTROUTING = ChainRule(
    f'-m comment --comment "kubernetes postrouting rules" -j {POSTROUTING}',
    "leaving the node: was it noted that it needs this node's address?",
)
TO_FIREWALL = ChainRule(f"-j {FIREWALL}", "to or from the node itself: shall it be dropped?")
