"""The CNI's netfilter rules in a node: SNAT of what leaves the VPC, and the marks for it."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from testbed.eks.environment import CniSettings
from testbed.eks.model import EksCluster
from testbed.eks.profiles import ERAS
from testbed.eks.wiring.connmark import outbound_marks
from testbed.eks.wiring.exempt import excluded_cidrs
from testbed.eks.wiring.reply_marks import marks_outbound, reply_marks
from testbed.eks.wiring.rule_text import comment, own_chain, piece, returning
from testbed.net.facts import ANYWHERE, ChainRule, Fact
from testbed.vpc.model import Vpc

CHAIN = "AWS-SNAT-CHAIN"
SAID, SAID_OF_EXCLUDED = "AWS SNAT CHAIN", "AWS SNAT CHAIN EXCLUSION"
MISSPELT = "AWS SNAT CHAN"  # v1.5; v1.6, which brought the exclusion, spells it right

# iptables-extensions(8), SNAT: what each value of AWS_VPC_K8S_CNI_RANDOMIZESNAT adds
RANDOM_PORT = {"hashrandom": " --random", "prng": " --random-fully", "none": ""}


def snat_facts(cluster: EksCluster, vpc: Vpc, node: str, node_ip: IPv4Address) -> Iterator[Fact]:
    """The CNI's chains, and its rules in the built-in ones, in a node's namespace."""
    era = ERAS[cluster.profile]
    yield from piece(node, "mangle", "PREROUTING", reply_marks(cluster.env, era))
    if era.one_snat_chain:
        yield from _one_chain(cluster, vpc, node, node_ip)
    else:
        yield from _chain_of_chains(cluster, vpc, node, node_ip)
    if marks_outbound(cluster.env, era):
        yield from outbound_marks(cluster, vpc, node)


def _one_chain(cluster: EksCluster, vpc: Vpc, node: str, node_ip: IPv4Address) -> Iterator[Fact]:
    """Since v1.16.2: what is exempt RETURNs, the rest is translated.

    The chain is there, empty, with external SNAT too.
    """
    rules: list[ChainRule] = []
    if not cluster.env.external_snat:
        yield from _jump(node, SAID)
        vpc_rules = [returning(cidr, SAID) for cidr in vpc.cidrs]
        excluded = [returning(cidr, SAID_OF_EXCLUDED) for cidr in excluded_cidrs(cluster.env)]
        # each was inserted at the front, once: the last one stands first
        rules = [*reversed(dict.fromkeys(vpc_rules + excluded)), _snat(cluster, node_ip)]
    yield own_chain(node, f"{CHAIN}-0", rules)


def _chain_of_chains(
    cluster: EksCluster, vpc: Vpc, node: str, node_ip: IPv4Address
) -> Iterator[Fact]:
    """Before v1.16.2: what is not in one range goes on to the next chain, the last translates.

    All chains are there, empty, with external SNAT too.  A packet for an exempt range just comes
    to the end of its chain.
    """
    links = _links(cluster.env, vpc)
    rules: list[list[ChainRule]] = [[] for _ in range(len(links) + 1)]
    if not cluster.env.external_snat:
        yield from _jump(node, _vpc_comment(cluster.env))
        for number, (cidr, said) in enumerate(links):
            rules[number] = _unless(cidr, said, f"{CHAIN}-{number + 1}")
        rules[-1] = [_snat(cluster, node_ip)]
    for number, chain_rules in enumerate(rules):
        yield own_chain(node, f"{CHAIN}-{number}", chain_rules)


def _jump(node: str, said: str) -> Iterator[Fact]:
    why = "leaving the node: is it to be translated?"
    rule = ChainRule(f"{comment(said)} -j {CHAIN}-0", why)
    yield from piece(node, "nat", "POSTROUTING", [rule])


def _links(env: CniSettings, vpc: Vpc) -> list[tuple[IPv4Network, str]]:
    """Each exempt range with the comment of its rule."""
    return [
        *((cidr, _vpc_comment(env)) for cidr in vpc.cidrs),
        *((cidr, SAID_OF_EXCLUDED) for cidr in excluded_cidrs(env)),
    ]


def _vpc_comment(env: CniSettings) -> str:
    return SAID if excluded_cidrs(env) else MISSPELT


def _unless(cidr: IPv4Network, said: str, chain: str) -> list[ChainRule]:
    """`! -d 10.0.0.0/16 … -j NEXT`; nothing is outside 0.0.0.0/0, and nft refuses to say so."""
    if cidr == ANYWHERE:
        return []
    text = f"! -d {cidr} {comment(said)} -j {chain}"
    return [ChainRule(text, f"{cidr} sees pods' addresses, others may not")]


def _snat(cluster: EksCluster, node_ip: IPv4Address) -> ChainRule:
    era = ERAS[cluster.profile]
    out = "! -o vlan+ " if era.branch_enis else ""
    random_port = RANDOM_PORT[cluster.env.randomize_snat or era.random_port]
    return ChainRule(
        f"{out}{comment('AWS, SNAT')} -m addrtype ! --dst-type LOCAL "
        f"-j SNAT --to-source {node_ip}{random_port}",
        "out of the VPC with the node's address: the internet gateway knows no pod's",
    )
