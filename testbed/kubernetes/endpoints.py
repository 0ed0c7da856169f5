"""The ports that running pods serve, and the pods as places probes go between."""

from collections.abc import Iterable, Iterator, Mapping

from testbed.kubernetes.model import Pod
from testbed.kubernetes.placement import PodAddress
from testbed.net.facts import IpAddress
from testbed.net.served.endpoints import Endpoint, Listener, Served


def listeners(pods: Iterable[Pod], placements: Iterable[PodAddress]) -> tuple[Listener, ...]:
    """Every port of every container of every pod that has a place, where it listens."""
    return tuple(
        Listener(
            netns=_netns(placement),
            port=port.number,
            protocol=port.protocol,
            pod=pod.netns,
            node=placement.node,
            container=container.name,
        )
        for pod, placement in _running(pods, placements)
        for container in pod.containers
        for port in container.ports
    )


def endpoints(
    pods: Iterable[Pod], placements: Iterable[PodAddress], nodes: Mapping[str, IpAddress]
) -> tuple[Endpoint, ...]:
    """Every pod that has a place, with its first ports and its node as control.

    nodes: the address of each node's first network interface.
    """
    return tuple(
        Endpoint(
            name=pod.netns,
            netns=_netns(placement),
            address=placement.ip,
            # any TCP port proves a TCP connection; an HTTP server accepts them too
            tcp_port=_first_port(pod, "tcp") or _first_port(pod, "http"),
            http_port=_first_port(pod, "http"),
            control_netns="" if _is_node(placement) else placement.node,
            control_address=None if _is_node(placement) else nodes.get(placement.node),
        )
        for pod, placement in _running(pods, placements)
    )


def _running(
    pods: Iterable[Pod], placements: Iterable[PodAddress]
) -> Iterator[tuple[Pod, PodAddress]]:
    placed = {placement.pod: placement for placement in placements}
    for pod in pods:
        if pod.netns in placed:
            yield pod, placed[pod.netns]


def _is_node(placement: PodAddress) -> bool:
    """A hostNetwork pod and one on Fargate are their node: none can be its own control."""
    return placement.host_network or placement.on_fargate


def _netns(placement: PodAddress) -> str:
    """A hostNetwork pod has no namespace of its own: it listens in its node's."""
    return placement.node if placement.host_network else placement.pod


def _first_port(pod: Pod, protocol: Served) -> int:
    return next((port.number for port in pod.served if port.protocol == protocol), 0)
