"""nat PREROUTING since v1.8: a pod's connection that will be translated leaves by eth0.

It is marked where it begins, and rule 1024 sends what is marked by table main.  Two backends write
the same: iptables, and nftables where aws-node finds no legacy iptables (v1.23).
"""

from collections.abc import Iterator
from ipaddress import IPv4Network

from testbed.eks.environment import CniSettings
from testbed.eks.go_values import LARGEST_MARK
from testbed.eks.model import EksCluster
from testbed.eks.wiring.exempt import exempt_cidrs
from testbed.eks.wiring.rule_text import (
    comment,
    own_chain,
    piece,
    restore_mark,
    returning,
    sees_pods,
    set_mark,
)
from testbed.net.facts import ChainRule, Fact, NftChain
from testbed.vpc.model import Vpc

CHAIN = "AWS-CONNMARK-CHAIN-0"
NFT_TABLE, NFT_BASE_CHAIN, NFT_CHAIN = "aws-cni", "nat-prerouting", "snat-mark"
# -90: behind kube-proxy's DNAT, so that a ClusterIP is not taken for an address outside (#3563)
NFT_HOOK = "type nat hook prerouting priority dstnat + 10; policy accept;"

ASKED = "a pod opens a connection: will it be translated?"
RESTORED = "the connection's mark, set just now, to its first packet: rule 1024 picks eth0"
MARKED = "to be translated to eth0's address, so it must leave by eth0"


def outbound_marks(cluster: EksCluster, vpc: Vpc, node: str) -> Iterator[Fact]:
    """The rules of the cluster's backend, in a node's namespace."""
    # each range was inserted at the front, once: the last one stands first
    exempt = tuple(reversed(dict.fromkeys(exempt_cidrs(cluster.env, vpc))))
    if cluster.connmark_backend == "nftables":
        yield from _nftables(cluster.env, node, exempt)
    else:
        yield from _iptables(cluster.env, node, exempt)


def _iptables(env: CniSettings, node: str, exempt: tuple[IPv4Network, ...]) -> Iterator[Fact]:
    said = comment("AWS, CONNMARK")
    jump = f"-i {env.veth_prefix}+ {comment('AWS, outbound connections')} -j {CHAIN}"
    restore = ChainRule(f"{said} {restore_mark(env)}", RESTORED)
    yield from piece(node, "nat", "PREROUTING", [ChainRule(jump, ASKED), restore])
    marking = ChainRule(f"{said} {set_mark(env)}", MARKED)
    yield own_chain(
        node, CHAIN, [*(returning(cidr, "AWS CONNMARK CHAIN") for cidr in exempt), marking]
    )


def _nftables(env: CniSettings, node: str, exempt: tuple[IPv4Network, ...]) -> Iterator[NftChain]:
    """As `nft list table ip aws-cni` prints it.

    A single address has no prefix length, and a mask that leaves all as it is is not told.
    """
    mark = f"{env.connmark:#010x}"
    masked = "" if env.connmark == LARGEST_MARK else f" & {mark}"
    pods = f'iifname "{env.veth_prefix}*"'
    base = (
        ChainRule("fib daddr type local return", "for the node itself: nothing to translate"),
        ChainRule(f"{pods} counter jump {NFT_CHAIN}", ASKED),
        ChainRule(f"counter meta mark set ct mark{masked}", RESTORED),
    )
    marking = ChainRule(f"counter ct mark set ct mark | {mark}", MARKED)
    yield _nft_chain(node, NFT_BASE_CHAIN, base, NFT_HOOK)
    yield _nft_chain(node, NFT_CHAIN, (*map(_returning, exempt), marking))


def _nft_chain(node: str, name: str, rules: tuple[ChainRule, ...], hook: str = "") -> NftChain:
    why = "marks of what will be translated (amazon-vpc-cni-k8s, nftables_connmark.go)"
    return NftChain(
        ns=node, family="ip", table=NFT_TABLE, name=name, hook=hook, rules=rules, why=why
    )


def _returning(cidr: IPv4Network) -> ChainRule:
    spelt = str(cidr).removesuffix("/32")
    return ChainRule(f"counter ip daddr {spelt} return", sees_pods(cidr))
