"""EndpointSlices as `get` shows them: what users wrote, and what the controller makes.  Pure.

Source: kubernetes v1.30, staging/src/k8s.io/endpointslice (reconciler.go).
"""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address
from typing import Any

from testbed.allocations import Allocations
from testbed.kubernetes.endpoint_slices import EndpointSlice
from testbed.kubernetes.model import Service
from testbed.kubernetes.replicas import pod_name
from testbed.lab import Cluster, Lab
from testbed.plan.proxies import behind
from testbed.services.endpoints import Behind

Row = dict[str, Any]
MOST = 100  # endpoints of a slice: kube-controller-manager --max-endpoints-per-slice


def slice_rows(lab: Lab, allocations: Allocations) -> Iterator[Row]:
    """Every EndpointSlice, of Services with a selector and those that were written."""
    for cluster in lab.clusters:
        there = behind(cluster, allocations)
        for service in cluster.services:
            if service.selector:
                yield from _made(cluster, service, there)
        for one in cluster.endpoint_slices:
            if one.kind == "EndpointSlice":
                yield _written(cluster, one)


def _made(cluster: Cluster, service: Service, there: Behind) -> Iterator[Row]:
    """Pods that serve the same numbers are in slices together; of none at all there is one."""
    ports: dict[IPv4Address, list[int]] = {}
    ready: dict[IPv4Address, bool] = {}
    for port in there.ports(service):
        for one in there.backends(service, port):
            ports.setdefault(one.ip, []).extend([one.port] if port else [])
            ready[one.ip] = one.ready
    groups: dict[tuple[int, ...], list[IPv4Address]] = {} if ports else {(): []}
    for ip, numbers in ports.items():
        groups.setdefault(tuple(numbers), []).append(ip)
    parts = [
        (served, ips[i : i + MOST])
        for served, ips in groups.items()
        for i in range(0, max(len(ips), 1), MOST)
    ]
    for ordinal, (served, ips) in enumerate(parts):
        name = pod_name(service.name, service.namespace, ordinal)
        yield _row(cluster, name, service.name, served, {ip: ready[ip] for ip in ips})


def _written(cluster: Cluster, one: EndpointSlice) -> Row:
    numbers = tuple(port.port for port in one.ports)
    ready = {address.ip: address.ready for address in one.addresses}
    return _row(cluster, one.qualified, one.service, numbers, ready)


def _row(
    cluster: Cluster,
    name: str,
    service: str,
    ports: tuple[int, ...],
    ready: Mapping[IPv4Address, bool],
) -> Row:
    return {
        "name": name,
        "addressType": "IPv4",
        "ports": [*ports],
        "endpoints": [str(ip) for ip in ready],
        "notReady": [str(ip) for ip, is_ready in ready.items() if not is_ready],
        "service": service,
        "cluster": cluster.name,
    }
