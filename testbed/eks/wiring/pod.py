"""A pod's wiring as the plugin `aws-cni` makes it: nothing bridged, all routed."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from testbed.eks.conflist import NETWORK, NO_IPV6, pod_mtu
from testbed.eks.model import EksCluster
from testbed.eks.profiles import ERAS
from testbed.eks.wiring.exempt import exempt_cidrs
from testbed.eks.wiring.node import JUMBO, eni_table
from testbed.kubernetes.cni.pod_link import pod_link
from testbed.kubernetes.cni.portmap import Attached, portmap_facts
from testbed.kubernetes.model import Pod
from testbed.kubernetes.placement import PodAddress
from testbed.net import names
from testbed.net.facts import ANYWHERE, MAIN, Address, Fact, Neighbour, Route, Rule, Sysctl
from testbed.vpc.model import Vpc

TO_POD = 512  # amazon-vpc-cni-k8s: toContainerRulePriority
FROM_POD = 1536  # amazon-vpc-cni-k8s: fromContainerRulePriority
GATEWAY = IPv4Address("169.254.1.1")  # on no interface; the pod has its MAC by heart
GATEWAY_HOST = IPv4Network("169.254.1.1/32")
HASH_LENGTH = 11  # characters of the SHA-1 in a veth's name
HASHED = ": prefix and SHA-1 of its name"


def veth_name(cluster: EksCluster, pod: Pod) -> str:
    """The pod's link in its node: `eni83dbd022cd5` for `default.pod-1`."""
    return cluster.env.veth_prefix + names.digest(pod.namespace, pod.name, length=HASH_LENGTH)


def pod_facts(
    cluster: EksCluster, vpc: Vpc, pod: Pod, placed: PodAddress, *, routed: bool = True
) -> Iterator[Fact]:
    """What `aws-cni` ADD writes for one pod; nothing for one on its node's network.

    routed: false where the ADD of another pod with the same address has replaced its route.
    """
    if placed.host_network:
        return
    veth = veth_name(cluster, pod)
    mac = names.mac(placed.node, veth)
    address = IPv4Network(int(placed.ip))  # from a number: three times faster, for every pod
    mtu = _pod_mtu(cluster)
    yield from pod_link(placed, veth, mac, mtu=mtu, plugin="aws-cni", named=HASHED)
    yield from _inside(placed, mac)
    if ERAS[cluster.profile].plugin_settings and cluster.env.disable_pod_v6:
        yield from _tuning(placed.pod)
    yield from _veth_sysctls(cluster, placed.node, veth)
    if routed:
        yield Route(
            ns=placed.node,
            dst=address,
            dev=veth,
            scope="link",
            why=f"to {placed.pod}: its veth (aws-cni)",
        )
    yield Rule(
        ns=placed.node,
        priority=TO_POD,
        dst=address,
        table=MAIN,
        why=f"to {placed.pod}: by main, where its veth is (amazon-vpc-cni-k8s: 512)",
    )
    if placed.device_index > 0:
        yield from _from_pod_rules(cluster, vpc, placed)


def host_port_facts(cluster: EksCluster, running: Iterable[PodAddress]) -> Iterator[Fact]:
    """What `portmap`, behind `aws-cni` in the configuration, makes of the pods' hostPorts."""
    pods = {pod.netns: pod for pod in cluster.pods}
    attached = (
        Attached(pods[at.pod], at.node, veth_name(cluster, pods[at.pod]), IPv4Interface(at.ip))
        for at in running
        if pods[at.pod].host_ports
    )
    yield from portmap_facts(NETWORK, attached)


def _inside(placed: PodAddress, mac: str) -> Iterator[Fact]:
    """The pod's side.  mac: of the node's end.

    ip route:   default via 169.254.1.1 dev eth0
                169.254.1.1 dev eth0 scope link
    ip neigh:   169.254.1.1 dev eth0 lladdr … PERMANENT
    """
    ns = placed.pod
    yield Address(
        ns=ns,
        dev="eth0",
        ip=IPv4Interface(int(placed.ip)),
        why="an address that an ENI has for pods, alone",
    )
    yield Route(
        ns=ns, dst=GATEWAY_HOST, dev="eth0", scope="link", why="a gateway for the default route"
    )
    yield Route(
        ns=ns,
        dst=ANYWHERE,
        via=GATEWAY,
        dev="eth0",
        why="the pod knows one gateway, which exists nowhere (aws-cni)",
    )
    yield Neighbour(
        ns=ns,
        dev="eth0",
        ip=GATEWAY,
        mac=mac,
        why="the gateway is the node's end of the veth: no ARP needed (aws-cni)",
    )


def _tuning(pod: str) -> Iterator[Sysctl]:
    for name, value in NO_IPV6.items():
        yield Sysctl(ns=pod, name=name, value=value, why="the plugin tuning (DISABLE_POD_V6)")


def _veth_sysctls(cluster: EksCluster, node: str, veth: str) -> Iterator[Sysctl]:
    """`net.ipv6.conf.eni83dbd022cd5.accept_ra = 0`; a veth without IPv6 is left alone."""
    era = ERAS[cluster.profile]
    why = f"aws-cni {era.release} sets it on every host veth before the veth is up"
    for setting, value in era.veth_ipv6.items():
        yield Sysctl(ns=node, name=f"net.ipv6.conf.{veth}.{setting}", value=value, why=why)


def _from_pod_rules(cluster: EksCluster, vpc: Vpc, placed: PodAddress) -> Iterator[Rule]:
    """`1536: from 10.10.0.102 lookup 2`; a pod of eth0 needs none, main is eth0's table.

    v1.5 with SNAT: `1536: from 10.10.0.102 to 10.10.0.0/16 lookup 2`, once per exempt range; the
    rest finds no rule and leaves by main, where it is translated to eth0's address.
    """
    per_cidr = ERAS[cluster.profile].from_pod_per_cidr and not cluster.env.external_snat
    for destination in exempt_cidrs(cluster.env, vpc) if per_cidr else (ANYWHERE,):
        yield Rule(
            ns=placed.node,
            priority=FROM_POD,
            src=IPv4Network(int(placed.ip)),
            dst=destination,
            table=eni_table(placed.device_index),
            why="from a pod: out of the ENI that owns its address (amazon-vpc-cni-k8s: 1536)",
        )


def _pod_mtu(cluster: EksCluster) -> int:
    """The configuration file's; v1.5 knows no setting and says 9001."""
    return pod_mtu(cluster.env) if ERAS[cluster.profile].mtu_settings else JUMBO
