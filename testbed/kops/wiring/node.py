"""A kops node without its pods: eth0, what kubenet and kops set, and the bridge cbr0."""

from collections.abc import Iterator
from ipaddress import IPv4Interface

from testbed.kops.ipam.host_local import gateway
from testbed.kops.model import KopsCluster, KopsNode
from testbed.kops.wiring import ptp
from testbed.kops.wiring.dedup import dedup_facts
from testbed.kubernetes.model import FIRST_NODE_PORT, LAST_NODE_PORT
from testbed.kubernetes.placement import NodeRange
from testbed.net import names
from testbed.net.facts import ANYWHERE, Address, Bridge, ChainPiece, ChainRule, Fact, Netns, Sysctl
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.instance import docker_facts, primary_facts, routing_sysctls
from testbed.vpc.fabric.subnets import JUMBO
from testbed.vpc.model import Subnet

CBR0 = "cbr0"
MTU = 9001  # bytes: kubelet --network-plugin-mtu, as kops sets it on AWS
NO_PORTS_MTU = 1500  # of cbr0 when its last pod is gone: the kernel's own (net/bridge/br_if.c)
NO_FILTER = "0"  # rp_filter
DISTRIBUTION = "Debian's default"
OWNER = "kubenet"
POSITION = 200  # behind KUBE-POSTROUTING, which kubelet inserts at the front
BRIDGE_NETFILTER = "net.bridge.bridge-nf-call-iptables"


def node_facts(cluster: KopsCluster, node: KopsNode, subnet: Subnet, eni: Eni) -> Iterator[Fact]:
    """Everything in a node's namespace that no pod is the reason for."""
    yield Netns(ns=node.name, why=f"an EC2 instance, {node.instance_type}")
    yield from routing_sysctls(node.name, NO_FILTER, DISTRIBUTION)
    yield Sysctl(
        ns=node.name,
        name="net.ipv4.ip_local_reserved_ports",
        value=f"{FIRST_NODE_PORT}-{LAST_NODE_PORT}",
        why="no client gets a node port as its own (kops)",
    )
    yield from primary_facts(eni, subnet, JUMBO)
    if node.docker:
        yield from docker_facts(node.name)
    if cluster.cni == "ptp":
        yield from ptp.masquerade(node.name, cluster.non_masquerade_cidr)
    else:
        yield from _kubenet(cluster, node.name)


def bridge_facts(pods: NodeRange, mtu: int, *, promisc: bool) -> Iterator[Fact]:
    """cbr0, which the first pod of a node brings into being, and which stays.

    mtu: in bytes.  promisc: for kubelet's --hairpin-mode=promiscuous-bridge.

    100.96.1.0/24 dev cbr0 proto kernel scope link src 100.96.1.1     (implied by the address)
    """
    ns, prefix = pods.node, pods.cidr.prefixlen
    # the kernel would take the MAC of a port; the plugin pins the first one
    mac = names.mac(ns, CBR0)
    why = "kubenet's bridge of all pods"
    yield Bridge(ns=ns, name=CBR0, mac=mac, mtu=mtu, promisc=promisc, why=why)
    if promisc:
        yield from dedup_facts(ns, mac, pods.cidr)
    yield Address(
        ns=ns,
        dev=CBR0,
        ip=IPv4Interface((gateway(pods.cidr), prefix)),
        why="the pods' default gateway: the first address of their range (kubenet)",
    )


def _kubenet(cluster: KopsCluster, node: str) -> Iterator[Fact]:
    """What kubenet sets when kubelet starts."""
    yield Sysctl(
        ns=node,
        name=BRIDGE_NETFILTER,
        value="1",
        why="iptables sees what cbr0 carries: a reply to a ClusterIP's client (kubenet, Init)",
    )
    yield from _snat(cluster, node)


def _snat(cluster: KopsCluster, node: str) -> Iterator[ChainPiece]:
    """What leaves the cluster gets the node's address, VPC addresses as destination too."""
    inside = cluster.non_masquerade_cidr
    if inside == ANYWHERE:
        return
    text = (
        f'! -d {inside} -m comment --comment "kubenet: SNAT for outbound traffic from cluster" '
        "-m addrtype ! --dst-type LOCAL -j MASQUERADE"
    )
    why = f"outside {inside} no pod's address is known (kubenet, ensureMasqRule)"
    yield ChainPiece(
        ns=node,
        table="nat",
        chain="POSTROUTING",
        owner=OWNER,
        position=POSITION,
        rules=(ChainRule(text, why),),
        why="kubenet's rule in nat POSTROUTING",
    )
