"""kubenet's traffic shaper: htb at cbr0's root, with a class for each limit of a pod.

    tc qdisc add dev cbr0 root handle 1: htb default 30          with the node's first pod
    tc class add dev cbr0 parent 1: classid 1:1 htb rate 10000kbit ceil 10000kbit
    tc filter add dev cbr0 protocol ip parent 1:0 prio 1 u32 match ip dst POD/32 flowid 1:1

It limits what cbr0 itself sends: what comes to a pod from elsewhere.  What pods send, and what
passes between pods of one node, is not.  tc takes the numbers for hexadecimal: the thirtieth class
is the default one, which everything else then shares.

Source: kubernetes v1.14, kubenet_linux.go and pkg/util/bandwidth/linux.go.
"""

from collections.abc import Iterable, Iterator

from testbed.kubernetes.cni.bandwidth import bandwidth
from testbed.kubernetes.model import Pod
from testbed.kubernetes.placement import PodAddress
from testbed.net.shaping import Limit, Shaper, Side

DEFAULT = 0x30  # tc reads `default 30` as hexadecimal


def shaper(node: str, dev: str, running: Iterable[tuple[Pod, PodAddress]]) -> Shaper:
    """The shaper of a node's bridge.  running: the pods on it, in the order they started."""
    limits = tuple(
        Limit(int(str(number), 16), kbit, side, at.ip)
        for number, (at, side, kbit) in enumerate(_asked(running), 1)
    )
    why = "limits what the bridge itself sends, so what comes to pods from elsewhere (kubenet)"
    return Shaper(ns=node, dev=dev, default=DEFAULT, limits=limits, why=why)


def _asked(running: Iterable[tuple[Pod, PodAddress]]) -> Iterator[tuple[PodAddress, Side, int]]:
    for pod, at in running:
        ingress, egress = bandwidth(pod.annotations)
        if ingress is not None:
            yield at, "dst", ingress
        if egress is not None:
            yield at, "src", egress
