"""What `iptables-restore`, or `nft -f`, takes to make a node as kube-proxy leaves it."""

from collections.abc import Iterable, Iterator

from testbed.kubernetes.kube_proxy import KubeProxy
from testbed.net.facts import Chain, ChainPiece, Fact
from testbed.net.netfilter import nft
from testbed.net.netfilter.iptables import merge, restore_text
from testbed.services.kube_proxy.node import node_facts
from testbed.services.kube_proxy.ports import ProxiedPort
from testbed.services.kube_proxy.rules import ProxyNode
from testbed.services.kube_proxy.static import firewall
from testbed.services.kubelet import kubelet_facts


def node_text(ports: Iterable[ProxiedPort], proxy: KubeProxy, node: ProxyNode) -> str:
    """Whole tables for an empty node; in era 1.14 with kubelet's chains, which rules jump to."""
    facts = tuple(_facts(ports, proxy, node))
    if proxy.mode == "nftables":
        return nft.script((), facts)
    pieces = (fact for fact in facts if isinstance(fact, ChainPiece))
    return restore_text([*(fact for fact in facts if isinstance(fact, Chain)), *merge(pieces)])


def _facts(ports: Iterable[ProxiedPort], proxy: KubeProxy, node: ProxyNode) -> Iterator[Fact]:
    if proxy.era == "1.14":
        yield from kubelet_facts(node.name, proxy)
    elif proxy.mode == "iptables":
        yield firewall(node.name, proxy)
    yield from node_facts([node], ports, proxy)
