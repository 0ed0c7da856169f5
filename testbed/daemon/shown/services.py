"""Services as `get` shows them: addresses, ports and endpoints.  Pure."""

from collections.abc import Iterator
from typing import Any

from testbed.allocations import Allocations
from testbed.kubernetes.model import Service
from testbed.kubernetes.placement import ServiceAddress
from testbed.lab import Cluster, Lab, hostname
from testbed.plan.proxies import behind

Row = dict[str, Any]


def service_rows(lab: Lab, allocations: Allocations) -> Iterator[Row]:
    """Every Service with its addresses."""
    for cluster in lab.clusters:
        given = {one.service: one for one in allocations.services if one.cluster == cluster.name}
        for service in cluster.services:
            address = given[service.qualified]
            yield {
                "name": service.qualified,
                "type": service.type,
                "clusterIp": cluster_ip(service, address),
                "externalIp": ",".join(_external(lab, cluster, service)),
                "ports": [port["text"] for port in ports_of(service, address)],
                "selector": ",".join(f"{key}={is_}" for key, is_ in service.selector.items()),
                "cluster": cluster.name,
            }


def cluster_ip(service: Service, address: ServiceAddress) -> str:
    """As kubectl prints it: `None` for a headless Service, nothing for an ExternalName."""
    return str(address.cluster_ip or service.cluster_ip or "")


def _external(lab: Lab, cluster: Cluster, service: Service) -> Iterator[str]:
    """What the Service is called outside: names and addresses."""
    named = (service.external_name, hostname(lab, cluster, service))
    yield from filter(None, named)
    yield from map(str, (*service.load_balancer_ips, *service.external_ips))


def ports_of(service: Service, address: ServiceAddress) -> Iterator[Row]:
    """Each port as kubectl prints it, `80:31787/TCP`, and its parts."""
    for i, port in enumerate(service.ports):
        node_port = address.node_ports[i] or None if address.node_ports else None
        yield {
            "text": f"{port.port}{f':{node_port}' if node_port else ''}/{port.protocol}",
            "name": port.name,
            "port": port.port,
            "protocol": port.protocol,
            "targetPort": port.target,
            "nodePort": node_port,
        }


def endpoint_rows(lab: Lab, allocations: Allocations) -> Iterator[Row]:
    """Every Service with the addresses and ports behind it that are ready."""
    for cluster in lab.clusters:
        there = behind(cluster, allocations)
        for service in cluster.services:
            ready = [
                str(backend)
                for port in service.ports
                for backend in there.backends(service, port)
                if backend.ready
            ]
            yield {"name": service.qualified, "endpoints": ready, "cluster": cluster.name}
