"""Which endpoints of a port today's kube-proxy takes on a node.

Source: kubernetes v1.30, pkg/proxy/topology.go, CategorizeEndpoints.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from testbed.services.endpoints import Backend
from testbed.services.kube_proxy.ports import ProxiedPort
from testbed.services.kube_proxy.rules import ProxyNode


@dataclass(frozen=True)
class Chosen:
    """The endpoints each policy takes on a node, and whether there is any in the cluster."""

    cluster: tuple[Backend, ...]
    local: tuple[Backend, ...]
    anywhere: bool


def choose(port: ProxiedPort, node: ProxyNode) -> Chosen:
    """Ready endpoints, and where a policy has none of them those that serve while they end."""
    uses_cluster = not port.internal_local or port.externally_accessible
    uses_local = port.internal_local or port.external_local
    own = [backend for backend in port.backends if node.name and backend.node == node.name]
    return Chosen(
        cluster=_near(port, node.zone) or _usable(port.backends) if uses_cluster else (),
        local=_usable(own) if uses_local else (),
        anywhere=bool(_usable(port.backends)),
    )


def _usable(backends: Sequence[Backend]) -> tuple[Backend, ...]:
    ready = tuple(backend for backend in backends if backend.ready)
    return ready or tuple(backend for backend in backends if backend.last_resort)


def _near(port: ProxiedPort, zone: str) -> tuple[Backend, ...]:
    """The ready endpoints meant for a zone; none where one of them is meant for no zone."""
    ready = [backend for backend in port.backends if backend.ready]
    if not (port.follows_hints and zone and all(backend.zone_hints for backend in ready)):
        return ()
    return tuple(backend for backend in ready if zone in backend.zone_hints)
