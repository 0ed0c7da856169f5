"""iproute2's way in bulk: `ip -batch`, one process a namespace."""

import subprocess
from collections.abc import Callable, Iterator

from bench.wiring.pods import ENI_TABLE, FROM_POD, GATEWAY, MTU, TO_POD, PodWiring, pods


def build(count: int) -> Callable[[], None]:
    """Wire them; what takes them down."""
    wanted = list(pods(count))
    nodes = list(dict.fromkeys(pod.node for pod in wanted))
    names = [*nodes, *(pod.name for pod in wanted)]
    _batch([], (f"netns add {name}" for name in names))
    for pod in wanted:
        _batch(["-n", pod.name], _in_pod(pod))
    for node in nodes:
        lines = [line for pod in wanted if pod.node == node for line in _on_node(pod)]
        _batch(["-n", node], ["link set lo up", *lines])
    return lambda: _batch([], (f"netns del {name}" for name in names))


def _in_pod(pod: PodWiring) -> Iterator[str]:
    yield "link set lo up"
    far = f"peer name {pod.veth} address {pod.veth_mac} mtu {MTU} netns {pod.node}"
    yield f"link add eth0 address {pod.mac} mtu {MTU} type veth {far}"
    yield "link set eth0 up"
    yield f"addr add {pod.ip}/32 dev eth0"
    yield f"route add {GATEWAY}/32 dev eth0"
    yield f"route add default via {GATEWAY} dev eth0"
    yield f"neigh add {GATEWAY} lladdr {pod.veth_mac} dev eth0 nud permanent"


def _on_node(pod: PodWiring) -> Iterator[str]:
    yield f"link set {pod.veth} up"
    yield f"route add {pod.ip}/32 dev {pod.veth}"
    yield f"rule add to {pod.ip} lookup main pref {TO_POD}"
    yield f"rule add from {pod.ip} lookup {ENI_TABLE} pref {FROM_POD}"


def _batch(options: list[str], lines: list[str] | Iterator[str]) -> None:
    script = "".join(f"{line}\n" for line in lines)
    subprocess.run(["ip", *options, "-batch", "-"], input=script, text=True, check=True)
