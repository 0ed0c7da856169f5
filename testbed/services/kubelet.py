"""The iptables chains kubelet makes on every node; kube-proxy's and kubenet's rules use them.

Texts are as `iptables-save` prints them.  Source: kubernetes v1.14,
pkg/kubelet/kubelet_network_linux.go, syncNetworkUtil.
"""

from collections.abc import Iterator

from testbed.net.facts import Chain, ChainPiece, ChainRule, Fact

OWNER = "kubelet"
POSITION = 110  # behind kube-proxy, which starts later and inserts at the front too

MASQUERADE = "0x4000"  # kubelet --iptables-masquerade-bit=14
DROP = "0x8000"  # kubelet --iptables-drop-bit=15

MARK_MASQUERADE = "KUBE-MARK-MASQ"
MARK_DROP = "KUBE-MARK-DROP"
POSTROUTING = "KUBE-POSTROUTING"
FIREWALL = "KUBE-FIREWALL"

WHY = "kubelet's own (kubernetes v1.14)"


def kubelet_facts(node: str) -> Iterator[Fact]:
    """The chains, in a node's namespace."""
    for name, rule in _NAT.items():
        yield Chain(ns=node, table="nat", name=name, rules=(rule,), why=WHY)
    yield _piece(node, "nat", "POSTROUTING", _TO_POSTROUTING)
    yield Chain(ns=node, table="filter", name=FIREWALL, rules=(_FIREWALL,), why=WHY)
    for chain in ("INPUT", "OUTPUT"):
        yield _piece(node, "filter", chain, _TO_FIREWALL)


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


_NAT = {
    MARK_MASQUERADE: ChainRule(
        f"-j MARK --set-xmark {MASQUERADE}/{MASQUERADE}",
        "note on the packet: give it this node's address when it leaves",
    ),
    MARK_DROP: ChainRule(
        f"-j MARK --set-xmark {DROP}/{DROP}",
        "note on the packet: drop it, which table nat cannot do itself",
    ),
    POSTROUTING: ChainRule(
        '-m comment --comment "kubernetes service traffic requiring SNAT" '
        f"-m mark --mark {MASQUERADE}/{MASQUERADE} -j MASQUERADE",
        "noted before: the packet gets this node's address, so the answer comes back here",
    ),
}
_TO_POSTROUTING = ChainRule(
    f'-m comment --comment "kubernetes postrouting rules" -j {POSTROUTING}',
    "leaving the node: was it noted that it needs this node's address?",
)
_FIREWALL = ChainRule(
    '-m comment --comment "kubernetes firewall for dropping marked packets" '
    f"-m mark --mark {DROP}/{DROP} -j DROP",
    "noted before: dropped",
)
_TO_FIREWALL = ChainRule(f"-j {FIREWALL}", "to or from the node itself: was it noted to drop it?")
