"""A pod's network namespace and its link to the node, which most CNI plugins make alike."""

from collections.abc import Iterator

from testbed.kubernetes.placement import PodAddress
from testbed.net import names
from testbed.net.facts import Fact, Netns, Veth


def pod_link(
    placed: PodAddress, veth: str, mac: str, *, mtu: int, plugin: str, named: str = ""
) -> Iterator[Fact]:
    """A veth pair: eth0 in the pod, and the node's end.

    veth, mac: of the node's end.  mtu: in bytes.  plugin: who makes it.
    named: how the node's end got its name, for those who ask why it is there.
    """
    pod, node = placed.pod, placed.node
    yield Netns(ns=pod, why="a pod's network namespace; its containers share it")
    yield Veth(
        ns=pod,
        name="eth0",
        peer_ns=node,
        peer=veth,
        mac=names.mac(pod, "eth0"),
        mtu=mtu,
        why=f"the pod's only link ({plugin})",
    )
    yield Veth(
        ns=node,
        name=veth,
        peer_ns=pod,
        peer="eth0",
        mac=mac,
        mtu=mtu,
        why=f"the node's end of {pod}'s link{named} ({plugin})",
    )
