"""The names that a cluster's DNS has: its Services', and its endpoints' where no ClusterIP is.

Sources: Kubernetes' "DNS-Based Service Discovery" 1.1.0; what it leaves open, the name of an
endpoint without a hostname, the weights and the SRV records of the bare name, is CoreDNS'
(plugin/kubernetes: kubernetes.go; plugin: backend_lookup.go).
"""

from collections.abc import Iterable, Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from testbed.kubernetes.model import Service
from testbed.kubernetes.placement import ServiceAddress
from testbed.services.dns import (
    CLUSTER_DOMAIN,
    SERVICE_TTL_S,
    Alias,
    Record,
    Srv,
    Synthetic,
    Txt,
)
from testbed.services.endpoints import Backend, Behind

WHOLE_WEIGHT = 100  # what the records of one SRV name share
SCHEMA_VERSION = "1.1.0"
NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")  # of every cluster


def service_records(
    services: Iterable[Service], given: Iterable[ServiceAddress], behind: Behind
) -> Iterator[Record | Srv | Alias]:
    """`web.default.svc.cluster.local` and all that is below it, of one cluster's Services."""
    addresses = {one.service: one.cluster_ip for one in given}
    for service in services:
        address = addresses[service.qualified]
        if service.type == "ExternalName":
            yield from _alias(service)
        elif address:
            yield from _of_address(service, address)
        else:
            yield from _of_endpoints(service, behind)


def schema_version() -> Txt:
    """Which version of the specification it is: section 2.2."""
    return Txt(f"dns-version.{CLUSTER_DOMAIN}", SCHEMA_VERSION)


def pod_names(namespaces: Iterable[str], ranges: Iterable[IPv4Network]) -> Iterator[Synthetic]:
    """`10-0-1-7.default.pod.cluster.local`, whether there is such a pod or not: section 2.6.

    CoreDNS' Corefile has `pods insecure`.  Here only addresses that pods may have stand for
    themselves.
    """
    there = tuple(dict.fromkeys(ranges))
    for namespace in sorted({*NAMESPACES, *namespaces}):
        yield Synthetic(f"{namespace}.pod.{CLUSTER_DOMAIN}", there)


def service_name(service: Service) -> str:
    """The full name: `web.default.svc.cluster.local`."""
    return f"{service.name}.{service.namespace}.svc.{CLUSTER_DOMAIN}"


def _alias(service: Service) -> Iterator[Alias]:
    """An ExternalName that is an address has no record at all."""
    target = service.external_name.removesuffix(".")
    try:
        IPv4Address(target)
    except AddressValueError:
        yield Alias(service_name(service), target)


def _of_address(service: Service, address: IPv4Address) -> Iterator[Record | Srv]:
    name = service_name(service)
    yield Record(name, address, SERVICE_TTL_S)
    served = [(port.name, port.protocol, name, port.port) for port in service.ports]
    yield from _srv_records(name, served)


def _of_endpoints(service: Service, behind: Behind) -> Iterator[Record | Srv]:
    """A headless Service's: every ready endpoint, the port that it serves itself."""
    name = service_name(service)
    served = []
    for port in behind.ports(service):
        for one in behind.backends(service, port):
            if one.ready:
                own = f"{_label(one)}.{name}"
                yield Record(name, one.ip, SERVICE_TTL_S)
                yield Record(own, one.ip, SERVICE_TTL_S)
                if port:
                    served.append((port.name, port.protocol, own, one.port))
    yield from _srv_records(name, served)


def _label(endpoint: Backend) -> str:
    """An endpoint's hostname, or its address with dashes."""
    return endpoint.hostname or str(endpoint.ip).replace(".", "-")


def _srv_records(name: str, served: Iterable[tuple[str, str, str, int]]) -> Iterator[Srv]:
    """`_http._tcp.NAME` for each named port, and NAME itself for all ports.

    served: port name, protocol, target and number.
    """
    owners: dict[str, list[tuple[str, int]]] = {}
    for port, protocol, target, number in served:
        owners.setdefault(name, []).append((target, number))
        if port:
            owner = f"_{port}._{protocol.lower()}.{name}"
            owners.setdefault(owner, []).append((target, number))
    for owner, there in owners.items():
        for target, number in there:
            yield Srv(owner, target, number, max(1, WHOLE_WEIGHT // len(there)))
