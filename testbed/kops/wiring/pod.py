"""A pod's wiring as kubenet and the plugin `bridge` make it: a port of cbr0, a default route."""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Interface

from testbed.kops.ipam.host_local import gateway
from testbed.kops.model import HairpinMode
from testbed.kops.wiring.names import veth_name
from testbed.kops.wiring.node import CBR0, MTU
from testbed.kubernetes.cni.pod_link import pod_link
from testbed.kubernetes.model import Pod
from testbed.kubernetes.placement import NodeRange, PodAddress
from testbed.net import names
from testbed.net.facts import ANYWHERE, Address, BridgePort, Fact, Route

BY_SERVICE: Mapping[HairpinMode, str] = {
    "hairpin-veth": "hairpin, so that it reaches itself through a Service",
    "promiscuous-bridge": "it reaches itself through a Service if the bridge passes it up",
    "none": "it does not reach itself through a Service",
}


def pod_facts(pod: Pod, placed: PodAddress, pods: NodeRange, mode: HairpinMode) -> Iterator[Fact]:
    """What kubenet sets up for one pod, which is not on its node's network.

    pods: the range of the pod's node.  mode: kubelet's --hairpin-mode.
    """
    veth = veth_name(pod)
    mac = names.mac(placed.node, veth)
    yield from pod_link(placed, veth, mac, mtu=MTU, plugin="bridge plugin")
    yield from _inside(placed, pods)
    yield BridgePort(
        ns=placed.node,
        dev=veth,
        bridge=CBR0,
        hairpin=mode == "hairpin-veth",
        why=f"{placed.pod} is on {CBR0}; {BY_SERVICE[mode]} (kubelet --hairpin-mode={mode})",
    )


def _inside(placed: PodAddress, pods: NodeRange) -> Iterator[Fact]:
    """The pod's side.

    ip route:   default via 100.96.1.1 dev eth0
                100.96.1.0/24 dev eth0 proto kernel scope link src 100.96.1.2    (implied)
    """
    ns = placed.pod
    yield Address(
        ns=ns,
        dev="eth0",
        ip=IPv4Interface((int(placed.ip), pods.cidr.prefixlen)),
        why="the next address of the node's range (host-local)",
    )
    yield Route(
        ns=ns,
        dst=ANYWHERE,
        via=gateway(pods.cidr),
        dev="eth0",
        why=f"beyond the node's own pods: by {CBR0}'s address (kubenet)",
    )
