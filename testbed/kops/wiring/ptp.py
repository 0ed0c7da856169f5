"""A kops node of today, with containerd instead of docker: the plugin `ptp`, and no bridge.

Every pod has a link of its own to the node, so packets between pods of one node are routed.

Sources: kops v1.30, nodeup/pkg/model/containerd.go (/etc/containerd/config-cni.template);
containernetworking/plugins v1.1.1, plugins/main/ptp.
"""

from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv4Network

from testbed.kops.ipam.host_local import gateway
from testbed.kops.wiring.names import veth_name
from testbed.kubernetes.cni.pod_link import pod_link
from testbed.kubernetes.model import Pod
from testbed.kubernetes.placement import NodeRange, PodAddress
from testbed.net import names
from testbed.net.facts import ANYWHERE, Address, Chain, ChainPiece, ChainRule, Fact, Route

MTU = 1500  # bytes: the template names none, so it is the kernel's own for a veth
CHAIN = "IP-MASQ"
POSITION = 200  # appended at boot: behind what kubelet and kube-proxy insert at the front


def pod_facts(pod: Pod, placed: PodAddress, pods: NodeRange) -> Iterator[Fact]:
    """What ptp and host-local leave of one pod, which is not on its node's network.

    pods: the range of the pod's node.
    """
    node, veth, via = placed.node, veth_name(pod), gateway(pods.cidr)
    yield from pod_link(placed, veth, names.mac(node, veth), mtu=MTU, plugin="ptp plugin")
    yield Address(
        ns=node,
        dev=veth,
        ip=IPv4Interface(via),
        why="the pod's gateway; every host end has the same one (ptp plugin)",
    )
    yield Route(
        ns=node,
        dst=IPv4Network(placed.ip),
        dev=veth,
        scope="host",
        why=f"to {placed.pod}: its link (ptp plugin)",
    )
    yield from _inside(placed, pods)


def _inside(placed: PodAddress, pods: NodeRange) -> Iterator[Fact]:
    """The pod's side.

    ip route:   default via 100.96.1.1 dev eth0
                100.96.1.0/24 via 100.96.1.1 dev eth0 src 100.96.1.2
                100.96.1.1 dev eth0 scope link src 100.96.1.2
    """
    ns, via = placed.pod, gateway(pods.cidr)
    yield Address(
        ns=ns,
        dev="eth0",
        ip=IPv4Interface((int(placed.ip), pods.cidr.prefixlen)),
        connected=False,
        why="the next address of the node's range (host-local)",
    )
    for dst, hop, why in (
        (IPv4Network(via), None, "the gateway is the other end of the link (ptp plugin)"),
        (pods.cidr, via, "the node's other pods are no neighbours (ptp plugin)"),
    ):
        scope = "global" if hop else "link"
        yield Route(ns=ns, dst=dst, via=hop, dev="eth0", scope=scope, src=placed.ip, why=why)
    yield Route(
        ns=ns, dst=ANYWHERE, via=via, dev="eth0", why="everything else: by the node (host-local)"
    )


def masquerade(node: str, inside: IPv4Network) -> Iterator[Fact]:
    """What leaves the cluster gets the node's address: kops' own chain, made at boot."""
    why = "kops: cni-iptables-setup"
    comment = "ip-masq: ensure nat POSTROUTING directs all non-LOCAL destination traffic to our"
    jump = ChainRule(
        f'-m comment --comment "{comment} custom IP-MASQ chain" -m addrtype ! --dst-type LOCAL'
        f" -j {CHAIN}",
        "leaving the node: does it leave the cluster?",
    )
    yield ChainPiece(
        ns=node,
        table="nat",
        chain="POSTROUTING",
        owner="kops",
        position=POSITION,
        rules=(jump,),
        why=why,
    )
    to = "" if inside == ANYWHERE else f"-d {inside} "
    rules = (
        ChainRule(
            f'{to}-m comment --comment "ip-masq: pod cidr is not subject to MASQUERADE" -j RETURN',
            f"{inside} knows pods by their own addresses",
        ),
        ChainRule(
            '-m comment --comment "ip-masq: outbound traffic is subject to MASQUERADE (must be'
            ' last in chain)" -j MASQUERADE',
            f"outside {inside} no pod's address is known",
        ),
    )
    yield Chain(ns=node, table="nat", name=CHAIN, rules=rules, why=why)
