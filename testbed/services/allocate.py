"""ClusterIPs and node ports: which Service gets which, kept once given.  Pure.

Kubernetes draws both at random; here the lowest free one is taken, so that a lab is the same
each time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from itertools import chain
from typing import TypeVar

from testbed.errors import DescriptionError
from testbed.kubernetes.model import FIRST_NODE_PORT, LAST_NODE_PORT, Service
from testbed.kubernetes.placement import ServiceAddress

API = 1  # the place in the range of the Service `kubernetes`, which is the API server
DNS = 10  # and that of `kube-dns`, by EKS' and kops' convention: only who asks for it gets it

NODE_PORTS = range(FIRST_NODE_PORT, LAST_NODE_PORT + 1)
NODE_PORT_TYPES = ("NodePort", "LoadBalancer")

NOTHING = -1  # a number that is in no range

_Owner = TypeVar("_Owner")


def assignable(cidr: IPv4Network) -> range:
    """The addresses Services may have, as numbers: neither the first two nor the last."""
    return range(int(cidr[API]) + 1, int(cidr.broadcast_address))


def allocate_services(
    cluster: str, services: Iterable[Service], cidr: IPv4Network, before: Iterable[ServiceAddress]
) -> tuple[ServiceAddress, ...]:
    """What every Service of a cluster has: a ClusterIP and node ports, where its type has them.

    What a Service asks for it gets; then it keeps what it had; then it gets the lowest free.
    Raises DescriptionError: nothing is free.
    """
    services = tuple(services)
    had = {one.service: one for one in before if one.cluster == cluster}
    addresses = _given(
        owners=[one.qualified for one in services if one.has_cluster_ip],
        asked={one.qualified: int(ip) for one in services if (ip := _asked_ip(one))},
        kept={name: int(one.cluster_ip) for name, one in had.items() if one.cluster_ip},
        free=_Range("a serviceIP", assignable(cidr), reserved={int(cidr[DNS])}),
    )
    ports = _node_ports([one for one in services if one.type in NODE_PORT_TYPES], had)
    health_checks = _health_check_ports(services, had, taken=chain(*ports.values()))
    return tuple(
        ServiceAddress(
            service=service.qualified,
            cluster=cluster,
            cluster_ip=IPv4Address(addresses[service.qualified])
            if service.qualified in addresses
            else None,
            node_ports=ports.get(service.qualified, ()),
            ports=tuple(port.port for port in service.ports),
            health_check_node_port=health_checks.get(service.qualified, 0),
        )
        for service in services
    )


def _asked_ip(service: Service) -> IPv4Address | None:
    given = service.cluster_ip
    return given if isinstance(given, IPv4Address) and service.has_cluster_ip else None


def _health_check_ports(
    services: Iterable[Service], had: Mapping[str, ServiceAddress], taken: Iterable[int]
) -> dict[str, int]:
    """A port for each load balancer that has to know which nodes have an endpoint."""
    checked = [service for service in services if service.needs_health_check]
    return _given(
        owners=[service.qualified for service in checked],
        asked={one.qualified: port for one in checked if (port := one.health_check_node_port)},
        kept={name: one.health_check_node_port for name, one in had.items()},
        free=_Range("a nodePort", NODE_PORTS, reserved=frozenset(taken)),
    )


def _node_ports(
    services: Sequence[Service], had: Mapping[str, ServiceAddress]
) -> dict[str, tuple[int, ...]]:
    """A node port for each port of these Services; 0 where one wants none.

    Ports of one number, 53/TCP and 53/UDP, share theirs unless they ask for two (kubernetes
    v1.14, pkg/registry/core/service/storage/rest.go: initNodePorts).
    """
    owners = [(service.qualified, port.port) for service in services for port in service.ports]
    asked = [port.node_port for service in services for port in service.ports]
    alone = {one.qualified for one in services if not one.allocate_load_balancer_node_ports}
    wishes = [(owner, number) for owner, number in zip(owners, asked, strict=True) if number]
    checks = {service.health_check_node_port or 0 for service in services}
    given = _given(
        owners=[owner for owner in owners if owner[0] not in alone],
        asked=dict(reversed(wishes)),  # the first wish of several counts
        kept=dict(_kept_ports(services, had)),
        free=_Range("a nodePort", NODE_PORTS, reserved={number for _, number in wishes} | checks),
    )
    return {
        service.qualified: tuple(
            port.node_port or given.get((service.qualified, port.port), 0)
            for port in service.ports
        )
        for service in services
    }


def _kept_ports(
    services: Iterable[Service], had: Mapping[str, ServiceAddress]
) -> Iterator[tuple[tuple[str, int], int]]:
    """The node ports of before, each for the port that had it."""
    for service in services:
        if old := had.get(service.qualified):
            for port, number in zip(old.ports, old.node_ports, strict=False):
                yield (service.qualified, port), number


@dataclass(frozen=True)
class _Range:
    """The numbers that can be given.  reserved: only to an owner that asks for one of them."""

    what: str
    usable: range
    reserved: Set[int]


def _given(
    *,
    owners: Iterable[_Owner],
    asked: Mapping[_Owner, int],
    kept: Mapping[_Owner, int],
    free: _Range,
) -> dict[_Owner, int]:
    """A number for each owner."""
    given = dict(asked)
    taken = {*asked.values(), *free.reserved}
    owners = [owner for owner in dict.fromkeys(owners) if owner not in asked]
    for owner in owners:
        number = kept.get(owner, NOTHING)
        if number in free.usable and number not in taken:
            given[owner] = number
            taken.add(number)
    left = (number for number in free.usable if number not in taken)
    for owner in owners:
        if owner not in given:
            given[owner] = _next(left, free.what)
    return given


def _next(left: Iterator[int], what: str) -> int:
    for number in left:
        return number
    raise DescriptionError(f"failed to allocate {what}: range is full")
