"""pyroute2's documented way: `netns.create` and a NetNS object for each namespace."""

from collections.abc import Callable

from pyroute2 import NetNS, netns

from bench.wiring.pods import ENI_TABLE, FROM_POD, GATEWAY, MTU, TO_POD, PodWiring, pods
from testbed.net.facts import MAIN


def build(count: int) -> Callable[[], None]:
    """Wire them; what takes them down."""
    names: list[str] = []
    by_node: dict[str, list[PodWiring]] = {}
    for pod in pods(count):
        by_node.setdefault(pod.node, []).append(pod)
    for node, those in by_node.items():
        netns.create(node)
        names.append(node)
        with NetNS(node) as on_node:
            on_node.link("set", index=1, state="up")
            for pod in those:
                netns.create(pod.name)
                names.append(pod.name)
                _wire_pod(pod)
                _wire_node(on_node, pod)

    def take_down() -> None:
        for name in names:
            netns.remove(name)

    return take_down


def _wire_pod(pod: PodWiring) -> None:
    peer = {"ifname": pod.veth, "address": pod.veth_mac, "mtu": MTU, "net_ns_fd": pod.node}
    with NetNS(pod.name) as inside:
        inside.link("set", index=1, state="up")
        inside.link("add", ifname="eth0", kind="veth", address=pod.mac, mtu=MTU, peer=peer)
        [eth0] = inside.link_lookup(ifname="eth0")
        inside.link("set", index=eth0, state="up")
        inside.addr("add", index=eth0, address=str(pod.ip), prefixlen=32)
        inside.route("add", dst=f"{GATEWAY}/32", oif=eth0, scope="link")
        inside.route("add", dst="default", gateway=str(GATEWAY), oif=eth0)
        inside.neigh("add", dst=str(GATEWAY), lladdr=pod.veth_mac, ifindex=eth0, state="permanent")


def _wire_node(on_node: NetNS, pod: PodWiring) -> None:
    [veth] = on_node.link_lookup(ifname=pod.veth)
    on_node.link("set", index=veth, state="up")
    on_node.route("add", dst=f"{pod.ip}/32", oif=veth, scope="link")
    on_node.rule("add", dst=f"{pod.ip}/32", table=MAIN, priority=TO_POD)
    on_node.rule("add", src=f"{pod.ip}/32", table=ENI_TABLE, priority=FROM_POD)
