"""What is behind a Service: its pods as Kubernetes' controllers list them, or what users wrote.

Source: kubernetes v1.30, staging/src/k8s.io/endpointslice; v1.14, pkg/controller/endpoint.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from types import MappingProxyType
from typing import NamedTuple

from testbed.kubernetes.endpoint_slices import EndpointSlice
from testbed.kubernetes.model import Pod, Service, ServicePort
from testbed.kubernetes.placement import PodAddress

NOWHERE: Mapping[str, str] = MappingProxyType({})  # no node's zone is known
TRANSPORT = {"http": "TCP", "tcp": "TCP", "udp": "UDP"}


class Backend(NamedTuple):
    """Where a port of a Service leads: an address, a port there, and whose they are.

    port: 0 behind a Service without ports.  hostname: its name below the Service's, if it has one.
    serving: it would be ready, were it not for being deleted (`terminating`).
    zone_hints: the zones whose callers it is meant for.
    """

    ip: IPv4Address
    port: int
    node: str
    pod: str
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    hostname: str = ""
    zone_hints: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.ip}:{self.port}"

    @property
    def last_resort(self) -> bool:
        """Whether it is taken when no endpoint is ready."""
        return self.serving and self.terminating


class Running(NamedTuple):
    """A pod and where it is."""

    pod: Pod
    place: PodAddress


class Behind:
    """All that can be behind the Services of one cluster; the state is an index by label."""

    def __init__(
        self,
        pods: Iterable[Pod],
        placements: Iterable[PodAddress],
        slices: Iterable[EndpointSlice] = (),
        zones: Mapping[str, str] = NOWHERE,
    ) -> None:
        """zones: of nodes, by which trafficDistribution gives pods their topology hints."""
        self._zones = zones
        placed = {placement.pod: placement for placement in placements}
        self._labelled: dict[tuple[str, str, str], list[Running]] = {}
        self._pods = set[tuple[str, str]]()
        for pod in pods:
            self._pods.add((pod.namespace, pod.name))
            if pod.netns in placed:
                for key, value in pod.selectable.items():
                    there = self._labelled.setdefault((pod.namespace, key, value), [])
                    there.append(Running(pod, placed[pod.netns]))
        self._written: dict[tuple[str, str], list[EndpointSlice]] = {}
        for one in slices:
            self._written.setdefault((one.namespace, one.service), []).append(one)

    def is_pod(self, service: Service, backend: Backend) -> bool:
        """Whether an endpoint of a Service is a pod that is there, not only an address."""
        return bool(service.selector) or (service.namespace, backend.pod) in self._pods

    def selected(self, service: Service) -> tuple[Running, ...]:
        """The running pods of a Service, in the topology's order."""
        if not service.selector:
            return ()
        key, value = next(iter(service.selector.items()))
        candidates = self._labelled.get((service.namespace, key, value), ())
        return tuple(one for one in candidates if service.selects(one.pod))

    def ports(self, service: Service) -> tuple[ServicePort | None, ...]:
        """The ports that endpoints of a Service have; None stands for no port at all."""
        if service.selector:
            return service.ports or (None,)
        found = {
            (port.name, port.protocol): ServicePort(
                port.port, name=port.name, protocol=port.protocol
            )
            for one in self._slices(service)
            for port in one.ports
        }
        return (*found.values(), None)

    def backends(
        self, service: Service, port: ServicePort | None, *, by_name: bool = False
    ) -> tuple[Backend, ...]:
        """What a port of a Service leads to: its pods by address, or the addresses written.

        port: none asks for endpoints without ports.  Whether a container serves the target port is
        not asked: Kubernetes does not know either.
        by_name: a port that was written may have another protocol, if its name is the same.
        """
        if service.selector:
            zones = self._zones if service.traffic_distribution else NOWHERE
            of_pods = _of_pods(service, port, self.selected(service), zones)
            return _once(sorted(of_pods, key=_address))
        return _once(_written(port, self._slices(service), by_name=by_name))

    def _slices(self, service: Service) -> Sequence[EndpointSlice]:
        return self._written.get((service.namespace, service.name), ())


def _address(backend: Backend) -> str:
    """By its text, as both controllers sort: 10.0.1.50 is before 10.0.1.6."""
    return str(backend.ip)


def _once(backends: Iterable[Backend]) -> tuple[Backend, ...]:
    """Of several with one address and port the last that is not ending.

    A pod may have the address of one that still ends: pkg/proxy/endpointslicecache.go.
    """
    found: dict[str, Backend] = {}
    for one in backends:
        if not one.terminating or str(one) not in found:
            found[str(one)] = one
    return tuple(found.values())


def _of_pods(
    service: Service,
    port: ServicePort | None,
    running: Iterable[Running],
    zones: Mapping[str, str],
) -> Iterator[Backend]:
    for pod, place in running:
        zone = zones.get(place.node)
        number = target_number(port, pod) if port else 0
        if number or port is None:
            yield Backend(
                ip=place.ip,
                port=number,
                node=place.node,
                pod=place.pod,
                ready=service.publish_not_ready_addresses or (pod.ready and not pod.terminating),
                serving=pod.ready,
                terminating=pod.terminating,
                hostname=pod.hostname_in(service.name),
                zone_hints=(zone,) if zone else (),
            )


def target_number(port: ServicePort, pod: Pod) -> int:
    """The port of a pod that a Service's port leads to; 0 when no port of it has the name."""
    if isinstance(port.target, int):
        return port.target
    wanted = (port.target, port.protocol)
    return next(
        (one.number for one in pod.served if (one.name, TRANSPORT[one.protocol]) == wanted), 0
    )


def _written(
    port: ServicePort | None, slices: Sequence[EndpointSlice], *, by_name: bool
) -> Iterator[Backend]:
    """As they were written: publishNotReadyAddresses is for controllers, which write `ready`."""
    for one in slices:
        for number in _numbers(one, port, by_name=by_name):
            for address in one.addresses:
                yield Backend(
                    ip=address.ip,
                    port=number,
                    node=address.node_name,
                    pod=address.pod,
                    ready=address.ready,
                    serving=address.serving,
                    terminating=address.terminating,
                    hostname=address.hostname,
                    zone_hints=address.zone_hints,
                )


def _numbers(one: EndpointSlice, port: ServicePort | None, *, by_name: bool) -> list[int]:
    """What a Service's port is in a slice."""
    if port is None:
        return [] if one.ports else [0]
    return [
        served.port
        for served in one.ports
        if served.name == port.name and (by_name or served.protocol == port.protocol)
    ]
