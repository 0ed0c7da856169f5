"""The CNI's iptables rules: SNAT of what leaves the VPC, and marks that bring replies back.

Texts are as `iptables-save` prints them: `-i` and `-d` come first, `--set-mark` is `--set-xmark`.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from testbed.eks.environment import CniSettings
from testbed.eks.model import EksCluster
from testbed.eks.profiles import ERAS, Era
from testbed.net.facts import ANYWHERE, Chain, ChainPiece, ChainRule, Fact
from testbed.vpc.model import Vpc

OWNER = "aws-cni"
# behind kube-proxy's jumps, which kube-proxy keeps inserting at the front: a ClusterIP is
# translated before the CNI looks where its packet goes (amazon-vpc-cni-k8s #3563)
POSITION = 200

# iptables-extensions(8), SNAT: what each value of AWS_VPC_K8S_CNI_RANDOMIZESNAT adds
RANDOM_PORT = {"hashrandom": " --random", "prng": " --random-fully", "none": ""}


def exempt_cidrs(cluster: EksCluster, vpc: Vpc) -> tuple[IPv4Network, ...]:
    """Destinations that see the pod's own address: the VPC's ranges, then the excluded ones."""
    return (*vpc.cidrs, *excluded_cidrs(cluster.env))


def excluded_cidrs(env: CniSettings) -> tuple[IPv4Network, ...]:
    """AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS, which means nothing with external SNAT."""
    return () if env.external_snat else env.exclude_snat_cidrs


def snat_facts(cluster: EksCluster, vpc: Vpc, node: str, node_ip: IPv4Address) -> Iterator[Fact]:
    """The CNI's chains, and its rules in the built-in ones, in a node's namespace."""
    era = ERAS[cluster.profile]
    yield from _piece(node, "mangle", "PREROUTING", _reply_marks(cluster.env, era))
    if era.one_snat_chain:
        yield from _one_chain(cluster, vpc, node, node_ip)
    else:
        yield from _chain_of_chains(cluster, vpc, node, node_ip)
    if era.marks_outbound and not cluster.env.external_snat:
        yield from _outbound_marks(cluster, vpc, node)


def _piece(node: str, table: str, chain: str, rules: list[ChainRule]) -> Iterator[ChainPiece]:
    if rules:
        yield ChainPiece(
            ns=node,
            table=table,
            chain=chain,
            owner=OWNER,
            position=POSITION,
            rules=tuple(rules),
            why=f"the CNI's rules in {table} {chain} (amazon-vpc-cni-k8s)",
        )


def _reply_marks(env: CniSettings, era: Era) -> list[ChainRule]:
    """mangle PREROUTING: a connection that came to the node's eth0 is answered by eth0.

    -i eth0 … -m addrtype --dst-type LOCAL --limit-iface-in -j CONNMARK --set-xmark 0x80/0x80
    -i eni+ … -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80
    """
    mark, comment = _mark(env), _comment("AWS, primary ENI")
    arrived = (
        f"-i eth0 {comment} -m addrtype --dst-type LOCAL --limit-iface-in "
        f"-j CONNMARK --set-xmark {mark}/{mark}"
    )
    prefix = env.veth_prefix if era.veth_prefix_in_mangle else "eni"
    marks_are_used = era.marks_outbound and not env.external_snat
    rules: list[ChainRule] = []
    if env.node_port_support:
        rules.append(ChainRule(arrived, "a node port's connection came in by eth0: remember it"))
    if env.node_port_support or marks_are_used:
        why = "the pod's packets of a marked connection get the mark: rule 1024 then picks eth0"
        rules.append(ChainRule(f"-i {prefix}+ {comment} {_restore(env)}", why))
    if env.node_port_support and era.branch_enis:
        why = "the same for pods with a branch ENI"
        rules.append(ChainRule(f"-i vlan+ {comment} {_restore(env)}", why))
    return rules


def _one_chain(cluster: EksCluster, vpc: Vpc, node: str, node_ip: IPv4Address) -> Iterator[Fact]:
    """Since v1.16.2: what is exempt RETURNs, the rest is translated.

    The chain is there, empty, with external SNAT too.
    """
    rules: list[ChainRule] = []
    if not cluster.env.external_snat:
        jump = f"{_comment('AWS SNAT CHAIN')} -j AWS-SNAT-CHAIN-0"
        why = "leaving the node: is it to be translated?"
        yield from _piece(node, "nat", "POSTROUTING", [ChainRule(jump, why)])
        vpc_rules = [_return(cidr, "AWS SNAT CHAIN") for cidr in vpc.cidrs]
        excluded = excluded_cidrs(cluster.env)
        excluded_rules = [_return(cidr, "AWS SNAT CHAIN EXCLUSION") for cidr in excluded]
        # each was inserted at the front, so the last one stands first
        rules = [*reversed(vpc_rules + excluded_rules), _snat(cluster, node_ip)]
    yield _chain(node, "AWS-SNAT-CHAIN-0", rules)


def _chain_of_chains(
    cluster: EksCluster, vpc: Vpc, node: str, node_ip: IPv4Address
) -> Iterator[Fact]:
    """Before v1.16.2: what is not in one range goes on to the next chain, the last translates.

    All chains are there, empty, with external SNAT too.  A packet for an exempt range just comes
    to the end of its chain.
    """
    links = _links(cluster, vpc)
    rules: list[list[ChainRule]] = [[] for _ in range(len(links) + 1)]
    if not cluster.env.external_snat:
        comment = _vpc_comment(cluster.env)
        jump = f"{_comment(comment)} -j AWS-SNAT-CHAIN-0"
        why = "leaving the node: is it to be translated?"
        yield from _piece(node, "nat", "POSTROUTING", [ChainRule(jump, why)])
        for number, (cidr, comment) in enumerate(links):
            rules[number] = _unless(cidr, comment, f"AWS-SNAT-CHAIN-{number + 1}")
        rules[-1] = [_snat(cluster, node_ip)]
    for number, chain_rules in enumerate(rules):
        yield _chain(node, f"AWS-SNAT-CHAIN-{number}", chain_rules)


def _links(cluster: EksCluster, vpc: Vpc) -> list[tuple[IPv4Network, str]]:
    """Each exempt range with the comment of its rule."""
    vpc_links = [(cidr, _vpc_comment(cluster.env)) for cidr in vpc.cidrs]
    excluded = excluded_cidrs(cluster.env)
    return [*vpc_links, *[(cidr, "AWS SNAT CHAIN EXCLUSION") for cidr in excluded]]


def _vpc_comment(env: CniSettings) -> str:
    """v1.5's misspelling; v1.6, which brought the exclusion, spells it right."""
    return "AWS SNAT CHAIN" if excluded_cidrs(env) else "AWS SNAT CHAN"


def _outbound_marks(cluster: EksCluster, vpc: Vpc, node: str) -> Iterator[Fact]:
    """nat PREROUTING since v1.8: a pod's connection that will be translated leaves by eth0."""
    env = cluster.env
    jump = f"-i {env.veth_prefix}+ {_comment('AWS, outbound connections')} -j AWS-CONNMARK-CHAIN-0"
    rules = [
        ChainRule(jump, "a pod opens a connection: will it be translated?"),
        ChainRule(
            f"{_comment('AWS, CONNMARK')} {_restore(env)}",
            "the connection's mark, set just now, to its first packet: rule 1024 picks eth0",
        ),
    ]
    yield from _piece(node, "nat", "PREROUTING", rules)
    mark = _mark(env)
    last = ChainRule(
        f"{_comment('AWS, CONNMARK')} -j CONNMARK --set-xmark {mark}/{mark}",
        "to be translated to eth0's address, so it must leave by eth0",
    )
    exempt = [_return(cidr, "AWS CONNMARK CHAIN") for cidr in exempt_cidrs(cluster, vpc)]
    yield _chain(node, "AWS-CONNMARK-CHAIN-0", [*reversed(exempt), last])


def _chain(node: str, name: str, rules: list[ChainRule]) -> Chain:
    why = "the CNI's own chain (amazon-vpc-cni-k8s, pkg/networkutils/network.go)"
    return Chain(ns=node, table="nat", name=name, rules=tuple(rules), why=why)


def _snat(cluster: EksCluster, node_ip: IPv4Address) -> ChainRule:
    era = ERAS[cluster.profile]
    out = "! -o vlan+ " if era.branch_enis else ""
    random_port = RANDOM_PORT[cluster.env.randomize_snat or era.random_port]
    return ChainRule(
        f"{out}{_comment('AWS, SNAT')} -m addrtype ! --dst-type LOCAL "
        f"-j SNAT --to-source {node_ip}{random_port}",
        "out of the VPC with the node's address: the internet gateway knows no pod's",
    )


def _return(cidr: IPv4Network, comment: str) -> ChainRule:
    """`-d 10.0.0.0/16 … -j RETURN`; the kernel lists 0.0.0.0/0 without `-d`."""
    destination = "" if cidr == ANYWHERE else f"-d {cidr} "
    return ChainRule(f"{destination}{_comment(comment)} -j RETURN", f"{cidr} sees pods' addresses")


def _unless(cidr: IPv4Network, comment: str, chain: str) -> list[ChainRule]:
    """`! -d 10.0.0.0/16 … -j NEXT`; nothing is outside 0.0.0.0/0, and nft refuses to say so."""
    if cidr == ANYWHERE:
        return []
    text = f"! -d {cidr} {_comment(comment)} -j {chain}"
    return [ChainRule(text, f"{cidr} sees pods' addresses, others may not")]


def _restore(env: CniSettings) -> str:
    mark = _mark(env)
    return f"-j CONNMARK --restore-mark --nfmask {mark} --ctmask {mark}"


def _mark(env: CniSettings) -> str:
    return f"{env.connmark:#x}"


def _comment(text: str) -> str:
    return f'-m comment --comment "{text}"'
