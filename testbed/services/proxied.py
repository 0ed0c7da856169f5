"""What kube-proxy makes rules of: each port of each Service, with its addresses and endpoints."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from testbed.kubernetes.model import Pod, Service
from testbed.kubernetes.placement import PodAddress, ServiceAddress
from testbed.services import chains
from testbed.services.endpoints import Backend, backends


@dataclass(frozen=True, kw_only=True)
class ProxiedPort:
    """A port of a Service.  A node port of 0: its type has none.

    name: as rules' comments have it, `default/web:http`.  protocol: `tcp` or `udp`.
    """

    name: str
    protocol: str
    cluster_ip: IPv4Address
    port: int
    node_port: int = 0
    backends: tuple[Backend, ...] = ()

    @property
    def title(self) -> str:
        """As people name it: `default/web`, or `default/web:http` where the port has a name."""
        return self.name.removesuffix(":")

    @property
    def chain(self) -> str:
        """The chain that chooses an endpoint: `KUBE-SVC-…`."""
        return chains.service_chain("SVC", self.name, self.protocol)

    def endpoint_chain(self, backend: Backend) -> str:
        """The chain that translates to one endpoint: `KUBE-SEP-…`."""
        return chains.endpoint_chain(self.name, self.protocol, backend.ip, backend.port)


def proxied_ports(
    services: Iterable[Service],
    addresses: Iterable[ServiceAddress],
    pods: Sequence[Pod],
    placements: Sequence[PodAddress],
) -> Iterator[ProxiedPort]:
    """The ports of Services that have an address, in the topology's order; all of one cluster."""
    given = {address.service: address for address in addresses}
    for service in services:
        if address := given.get(service.qualified):
            for i, port in enumerate(service.ports):
                yield ProxiedPort(
                    name=chains.port_name(service.namespace, service.name, port.name),
                    protocol=port.protocol.lower(),
                    cluster_ip=address.cluster_ip,
                    port=port.port,
                    node_port=address.node_ports[i] if address.node_ports else 0,
                    backends=backends(service, port, pods, placements),
                )
