"""What kube-proxy makes rules of: each port of each Service, with its addresses and endpoints."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network

from testbed.kubernetes.kube_proxy import Era
from testbed.kubernetes.model import HEADLESS, OTHER_PROXY, Service, ServicePort
from testbed.kubernetes.placement import ServiceAddress
from testbed.net.served.endpoints import Transport
from testbed.services.endpoints import Backend, Behind
from testbed.services.kube_proxy import names


@dataclass(frozen=True, kw_only=True)
class ProxiedPort:
    """A port of a Service.  A node port of 0: its type has none.

    name: as rules' comments have it, `default/web:http`.  protocol: `tcp` or `udp`.
    affinity_s: how long a client stays with its endpoint; 0 for no affinity.
    backends: all that are known, ready or not.
    """

    name: str
    protocol: str
    cluster_ip: IPv4Address
    port: int
    namespace: str = "default"
    service: str = ""
    node_port: int = 0
    external_ips: tuple[IPv4Address, ...] = ()
    load_balancer_ips: tuple[IPv4Address, ...] = ()
    source_ranges: tuple[IPv4Network, ...] = ()
    affinity_s: int = 0
    internal_local: bool = False
    external_local: bool = False
    health_check_node_port: int = 0
    follows_hints: bool = False
    backends: tuple[Backend, ...] = ()

    @property
    def transport(self) -> Transport:
        """Its protocol, as sockets have it."""
        return "udp" if self.protocol == "udp" else "tcp"

    @property
    def title(self) -> str:
        """As people name it: `default/web`, or `default/web:http` where the port has a name."""
        return self.name.removesuffix(":")

    @cached_property
    def _hash(self) -> str:
        return names.port_hash(self.name, self.protocol)

    def chain(self, kind: names.Kind) -> str:
        """One of its chains: `KUBE-SVC-…`."""
        return f"KUBE-{kind}-{self._hash}"

    @property
    def externally_accessible(self) -> bool:
        """Whether anybody outside has an address for it."""
        return bool(self.node_port or self.load_balancer_ips or self.external_ips)

    @property
    def differs_by_node(self) -> bool:
        """Whether its rules depend on the node: its address, its zone, which endpoints it has."""
        by_place = self.internal_local or self.external_local or self.follows_hints
        return by_place or bool(self.source_ranges)


def proxied_ports(
    era: Era, services: Iterable[Service], addresses: Iterable[ServiceAddress], behind: Behind
) -> Iterator[ProxiedPort]:
    """The ports of Services that are kube-proxy's, in the topology's order; all of one cluster."""
    given = {address.service: address for address in addresses}
    for service in services:
        address = given.get(service.qualified)
        if address and address.cluster_ip and not _somebody_elses(era, service):
            for i, port in enumerate(service.ports):
                yield _proxied(era, service, port, i, address, behind)


def _somebody_elses(era: Era, service: Service) -> bool:
    """Whether a label keeps kube-proxy away; headless came with EndpointSlices, in 1.16."""
    return OTHER_PROXY in service.labels or (era != "1.14" and HEADLESS in service.labels)


def _proxied(
    era: Era,
    service: Service,
    port: ServicePort,
    index: int,
    address: ServiceAddress,
    behind: Behind,
) -> ProxiedPort:
    assert address.cluster_ip is not None, "its caller has looked"
    balanced = service.type == "LoadBalancer"
    affine = service.session_affinity == "ClientIP"
    return ProxiedPort(
        name=names.port_name(era, service.namespace, service.name, port.name),
        protocol=port.protocol.lower(),
        cluster_ip=address.cluster_ip,
        port=port.port,
        namespace=service.namespace,
        service=service.name,
        node_port=address.node_ports[index] if address.node_ports else 0,
        external_ips=service.external_ips,
        load_balancer_ips=service.load_balancer_ips if balanced else (),
        source_ranges=service.load_balancer_source_ranges if balanced else (),
        affinity_s=service.session_affinity_timeout_s if affine else 0,
        internal_local=era != "1.14" and service.internal_traffic_policy == "Local",
        external_local=_external_local(era, service),
        health_check_node_port=address.health_check_node_port,
        follows_hints=era != "1.14" and service.follows_hints,
        backends=_ordered(era, behind.backends(service, port, by_name=era == "1.14")),
    )


def _external_local(era: Era, service: Service) -> bool:
    """In 1.14 external addresses of a ClusterIP Service ignore the policy."""
    accessible = (
        service.type in ("NodePort", "LoadBalancer")
        if era == "1.14"
        else service.externally_accessible
    )
    return accessible and service.external_traffic_policy == "Local"


def _ordered(era: Era, backends: tuple[Backend, ...]) -> tuple[Backend, ...]:
    """As an Endpoints object has them; with EndpointSlices, since 1.19, by address and port."""
    return backends if era == "1.14" else tuple(sorted(backends, key=str))
