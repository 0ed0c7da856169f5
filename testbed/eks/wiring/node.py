"""An EKS node without its pods: ENIs, the rules and tables ipamD makes of them, sysctls."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

from testbed.eks.model import EksCluster
from testbed.eks.profiles import ERAS
from testbed.eks.wiring.reply_marks import marks_outbound
from testbed.eks.wiring.snat import snat_facts
from testbed.kubernetes.model import Node
from testbed.net.facts import ANYWHERE, MAIN, Address, Fact, Netns, Route, Rule, Sysctl
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.eni import device, instance_side
from testbed.vpc.fabric.instance import docker_facts, own_address, primary_facts, routing_sysctls
from testbed.vpc.model import Subnet, Vpc
from testbed.vpc.naming import gateway_address

FROM_EXTERNAL = 1024  # amazon-vpc-cni-k8s: hostRulePriority, for marked packets
TO_EXTERNAL_SERVICE = 1535  # amazon-vpc-cni-k8s v1.12.6: externalServiceIpRulePriority
FROM_ENI = 32765  # amazon-vpc-cni-k8s v1.20: one before the kernel's rule for main
JUMBO = 9001  # bytes: DHCP option 26 in a VPC, and the CNI's default
INSTANCE_METADATA = IPv4Network("169.254.169.254/32")

STRICT = "1"  # rp_filter: the answer would leave by the link the packet came in by
LOOSE = "2"  # rp_filter: the answer would leave by any link
DISTRIBUTION = "Amazon Linux's default"


def eni_table(device_index: int) -> int:
    """The routing table of an ENI: main for eth0, then eth1 has 2, eth2 has 3."""
    return device_index + 1 if device_index else MAIN


def node_facts(cluster: EksCluster, vpc: Vpc, node: Node, enis: Iterable[Eni]) -> Iterator[Fact]:
    """Everything in a node's namespace that no single pod is the reason for.

    enis: the node's own, eth0 among them.
    """
    subnets = {subnet.name: subnet for subnet in vpc.subnets}
    enis = sorted(enis, key=lambda eni: eni.device_index)
    primary, *others = enis
    yield Netns(ns=node.name, why=f"an EC2 instance, {node.instance_type}")
    yield from _sysctls(cluster, node.name)
    yield from _eth0(cluster, primary, subnets[primary.subnet])
    for eni in others:
        yield from _secondary_facts(cluster, eni, subnets[eni.subnet])
    if node.docker:
        yield from docker_facts(node.name)
    yield from _mark_rule(cluster, node.name)
    yield from _external_service_rules(cluster, node.name)
    yield from snat_facts(cluster, vpc, node.name, primary.primary)


def _eth0(cluster: EksCluster, eni: Eni, subnet: Subnet) -> Iterator[Fact]:
    """eth0 as DHCP and Amazon Linux leave it.

    default via 10.10.0.1 dev eth0
    10.10.0.0/19 dev eth0 proto kernel scope link src 10.10.0.10      (implied by the address)
    169.254.169.254 dev eth0
    """
    node, dev = eni.instance, device(eni)
    yield from primary_facts(eni, subnet, _eni_mtu(cluster))
    yield _eth0_filter(cluster, node)
    # scope global although directly connected, as the slides' node prints it: no `scope link`
    why = "instance metadata is on eth0 (Amazon Linux, ec2-net-utils)"
    yield Route(ns=node, dst=INSTANCE_METADATA, dev=dev, why=why)


def _secondary_facts(cluster: EksCluster, eni: Eni, subnet: Subnet) -> Iterator[Fact]:
    """An ENI that ipamD attached and set up: it is used through a table of its own only.

    ip route show table 2:   default via 10.10.0.1 dev eth1
                             10.10.0.1 dev eth1 scope link
    """
    node, dev, table = eni.instance, device(eni), eni_table(eni.device_index)
    gateway = gateway_address(subnet)
    why = f"the router, by {dev} (amazon-vpc-cni-k8s: SetupENINetwork)"
    yield instance_side(eni, _eni_mtu(cluster))
    yield _rp_filter(node, dev, STRICT, DISTRIBUTION)
    # the CNI deletes the connected route: only eth0's stays in main
    yield Address(
        ns=node,
        dev=dev,
        ip=own_address(eni, subnet),
        connected=False,
        why="the ENI's own address, without its route in main (amazon-vpc-cni-k8s)",
    )
    yield Route(ns=node, dst=IPv4Network(gateway), dev=dev, scope="link", table=table, why=why)
    yield Route(ns=node, dst=ANYWHERE, via=gateway, dev=dev, table=table, why=why)
    if ERAS[cluster.profile].rule_for_eni_address:
        yield Rule(
            ns=node,
            priority=FROM_ENI,
            src=IPv4Network(eni.primary),
            table=table,
            why=f"from {dev}'s own address: out of {dev} (amazon-vpc-cni-k8s v1.20: 32765)",
        )


def _mark_rule(cluster: EksCluster, node: str) -> Iterator[Fact]:
    """`1024: from all fwmark 0x80/0x80 lookup main`."""
    env = cluster.env
    if env.node_port_support or marks_outbound(env, ERAS[cluster.profile]):
        yield Rule(
            ns=node,
            priority=FROM_EXTERNAL,
            fwmark=env.connmark,
            fwmask=env.connmark,
            table=MAIN,
            why="a marked connection belongs to eth0's address: by main (amazon-vpc-cni-k8s)",
        )


def _external_service_rules(cluster: EksCluster, node: str) -> Iterator[Rule]:
    """`1535: from all to 192.168.0.0/24 lookup main`: before rule 1536 picks the pod's own ENI.

    For a Service whose endpoints are outside the VPC: kube-proxy's DNAT ends nat PREROUTING, so
    its packets get no mark; translated to eth0's address, they must not leave by eth1.
    """
    if not ERAS[cluster.profile].external_service_cidrs:
        return
    why = "external services answer eth0's address only: by main (AWS_EXTERNAL_SERVICE_CIDRS)"
    for cidr in cluster.env.external_service_cidrs:
        yield Rule(ns=node, priority=TO_EXTERNAL_SERVICE, dst=cidr, table=MAIN, why=why)


def _sysctls(cluster: EksCluster, node: str) -> Iterator[Fact]:
    yield from routing_sysctls(node, STRICT, DISTRIBUTION)
    if ERAS[cluster.profile].early_demux_written:
        value = "0" if cluster.env.disable_tcp_early_demux else "1"
        why = "amazon-vpc-cni-k8s: init container (DISABLE_TCP_EARLY_DEMUX)"
        yield Sysctl(ns=node, name="net.ipv4.tcp_early_demux", value=value, why=why)


def _eth0_filter(cluster: EksCluster, node: str) -> Sysctl:
    """Loose: what comes in for a node port may be for a pod whose answer leaves by eth1."""
    if ERAS[cluster.profile].loose_filter_always or cluster.env.node_port_support:
        why = "a node port's packet may be for a pod of another ENI (amazon-vpc-cni-k8s)"
        return _rp_filter(node, "eth0", LOOSE, why)
    return _rp_filter(node, "eth0", STRICT, DISTRIBUTION)


def _rp_filter(node: str, dev: str, value: str, why: str) -> Sysctl:
    return Sysctl(ns=node, name=f"net.ipv4.conf.{dev}.rp_filter", value=value, why=why)


def _eni_mtu(cluster: EksCluster) -> int:
    return cluster.env.eni_mtu if ERAS[cluster.profile].mtu_settings else JUMBO
