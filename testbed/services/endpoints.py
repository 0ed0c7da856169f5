"""The pods behind a Service, as its Endpoints object lists them.  Pure."""

from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import NamedTuple

from testbed.kubernetes.model import Pod, Service, ServicePort
from testbed.kubernetes.placement import PodAddress


class Backend(NamedTuple):
    """Where a port of a Service leads: an address, a port there, and whose they are."""

    ip: IPv4Address
    port: int
    node: str
    pod: str

    def __str__(self) -> str:
        return f"{self.ip}:{self.port}"


def selected(
    service: Service, pods: Iterable[Pod], placements: Iterable[PodAddress]
) -> tuple[PodAddress, ...]:
    """The running pods of a Service, in the topology's order; all of one cluster.

    One with hostNetwork has its node's address.
    """
    placed = {placement.pod: placement for placement in placements}
    return tuple(placed[pod.netns] for pod in pods if pod.netns in placed and service.selects(pod))


def backends(
    service: Service, port: ServicePort, pods: Iterable[Pod], placements: Iterable[PodAddress]
) -> tuple[Backend, ...]:
    """What a port of a Service leads to, pods in the topology's order; all of one cluster.

    Whether a container serves the target port is not asked: Kubernetes does not know either.
    """
    return tuple(
        Backend(place.ip, port.target, place.node, place.pod)
        for place in selected(service, pods, placements)
    )
