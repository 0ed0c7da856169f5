"""Mininet's way: a Node for each namespace, a Link, and `cmd` for the rest."""

from collections.abc import Callable

from mininet.net import Mininet

from bench.wiring.pods import ENI_TABLE, FROM_POD, GATEWAY, MTU, TO_POD, PodWiring, pods

Mininet.inited = True  # leaves out fixLimits(), which writes sysctls of the whole machine


def build(count: int) -> Callable[[], None]:
    """Wire them; what takes them down."""
    net = Mininet(build=False)
    for pod in pods(count):
        _wire(net, pod)
    stop: Callable[[], None] = net.stop
    return stop


def _wire(net: Mininet, pod: PodWiring) -> None:
    node = net[pod.node] if pod.node in net else net.addHost(pod.node, ip=None)
    host = net.addHost(pod.name, ip=None)
    ends = {"intfName1": "eth0", "intfName2": pod.veth, "addr1": pod.mac, "addr2": pod.veth_mac}
    net.addLink(host, node, **ends)
    host.cmd(
        f"ip link set eth0 mtu {MTU}; ip addr add {pod.ip}/32 dev eth0; ip link set lo up; "
        f"ip route add {GATEWAY}/32 dev eth0; ip route add default via {GATEWAY} dev eth0; "
        f"ip neigh add {GATEWAY} lladdr {pod.veth_mac} dev eth0 nud permanent"
    )
    node.cmd(
        f"ip link set {pod.veth} mtu {MTU}; ip route add {pod.ip}/32 dev {pod.veth}; "
        f"ip rule add to {pod.ip} lookup main pref {TO_POD}; "
        f"ip rule add from {pod.ip} lookup {ENI_TABLE} pref {FROM_POD}"
    )
