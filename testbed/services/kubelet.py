"""The iptables chains kubelet makes on every node; kube-proxy's and kubenet's rules use them.

Texts are as `iptables-save` prints them.  Source: kubernetes v1.14 and v1.30,
pkg/kubelet/kubelet_network_linux.go.
"""

from collections.abc import Iterator

from testbed.kubernetes.kube_proxy import Era
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

# empty: kubelet watches its canary; by the hint programs choose between iptables' variants
CANARY, HINT = "KUBE-KUBELET-CANARY", "KUBE-IPTABLES-HINT"
EMPTY = (("mangle", HINT), ("mangle", CANARY), ("nat", CANARY), ("filter", CANARY))


def kubelet_facts(node: str, era: Era) -> Iterator[Fact]:
    """The chains, in a node's namespace; today kube-proxy has those that packets meet."""
    if era == "1.14":
        for table, name, rule in _OWN:
            yield Chain(ns=node, table=table, name=name, rules=(rule,), why=WHY)
        yield _piece(node, "nat", "POSTROUTING", TO_POSTROUTING)
        for chain in ("INPUT", "OUTPUT"):
            yield _piece(node, "filter", chain, TO_FIREWALL)
    else:
        for table, name in EMPTY:
            yield Chain(ns=node, table=table, name=name, why="kubelet's own (kubernetes v1.30)")


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


MARK = ChainRule(
    f"-j MARK --set-xmark {MASQUERADE}/{MASQUERADE}",
    "note on the packet: give it this node's address when it leaves",
)
_MARK_TO_DROP = ChainRule(
    f"-j MARK --set-xmark {DROP}/{DROP}",
    "note on the packet: drop it, which table nat cannot do itself",
)
_MASQUERADE_MARKED = ChainRule(
    '-m comment --comment "kubernetes service traffic requiring SNAT" '
    f"-m mark --mark {MASQUERADE}/{MASQUERADE} -j MASQUERADE",
    "noted before: the packet gets this node's address, so the answer comes back here",
)
_DROP_MARKED = ChainRule(
    '-m comment --comment "kubernetes firewall for dropping marked packets" '
    f"-m mark --mark {DROP}/{DROP} -j DROP",
    "noted before: dropped",
)
_OWN = (
    ("nat", MARK_MASQUERADE, MARK),
    ("nat", MARK_DROP, _MARK_TO_DROP),
    ("nat", POSTROUTING, _MASQUERADE_MARKED),
    ("filter", FIREWALL, _DROP_MARKED),
)
TO_POSTROUTING = ChainRule(
    f'-m comment --comment "kubernetes postrouting rules" -j {POSTROUTING}',
    "leaving the node: was it noted that it needs this node's address?",
)
TO_FIREWALL = ChainRule(f"-j {FIREWALL}", "to or from the node itself: shall it be dropped?")
