"""Words that the CNI's iptables rules are made of, as `iptables-save` prints them.

`-i` and `-d` come first, and `--set-mark 0x80/0x80` is `--set-xmark 0x80/0x80`.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

from testbed.eks.environment import CniSettings
from testbed.net.facts import ANYWHERE, Chain, ChainPiece, ChainRule

OWNER = "aws-cni"
# behind kube-proxy's jumps, which kube-proxy keeps inserting at the front: a ClusterIP is
# translated before the CNI looks where its packet goes (amazon-vpc-cni-k8s #3563)
POSITION = 200


def piece(node: str, table: str, chain: str, rules: Iterable[ChainRule]) -> Iterator[ChainPiece]:
    """The CNI's rules in a built-in chain; nothing where it has none."""
    if rules := tuple(rules):
        why = f"the CNI's rules in {table} {chain} (amazon-vpc-cni-k8s)"
        yield ChainPiece(
            ns=node,
            table=table,
            chain=chain,
            owner=OWNER,
            position=POSITION,
            rules=rules,
            why=why,
        )


def own_chain(node: str, name: str, rules: Iterable[ChainRule]) -> Chain:
    """A chain of table nat that is the CNI's own."""
    why = "the CNI's own chain (amazon-vpc-cni-k8s, pkg/networkutils/network.go)"
    return Chain(ns=node, table="nat", name=name, rules=tuple(rules), why=why)


def returning(cidr: IPv4Network, said: str) -> ChainRule:
    """`-d 10.0.0.0/16 … -j RETURN`; the kernel lists 0.0.0.0/0 without `-d`."""
    destination = "" if cidr == ANYWHERE else f"-d {cidr} "
    return ChainRule(f"{destination}{comment(said)} -j RETURN", sees_pods(cidr))


def sees_pods(cidr: IPv4Network) -> str:
    """Why a range is exempt."""
    return f"{cidr} sees pods' addresses"


def set_mark(env: CniSettings) -> str:
    """The packet's connection is marked."""
    return f"-j CONNMARK --set-xmark {mark(env)}/{mark(env)}"


def restore_mark(env: CniSettings) -> str:
    """The packet gets its connection's mark."""
    return f"-j CONNMARK --restore-mark --nfmask {mark(env)} --ctmask {mark(env)}"


def mark(env: CniSettings) -> str:
    """`0x80`: the mark, and its mask too."""
    return f"{env.connmark:#x}"


def comment(text: str) -> str:
    """A rule's comment."""
    return f'-m comment --comment "{text}"'
