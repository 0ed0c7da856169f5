"""Manifests alone, without any cluster, as what kube-proxy makes rules of."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from itertools import chain

from testbed.description.ports import MOST_PORT
from testbed.kubernetes.endpoint_slices import EndpointSlice
from testbed.kubernetes.kube_proxy import Era
from testbed.kubernetes.manifests import Objects
from testbed.kubernetes.model import Service
from testbed.kubernetes.placement import PodAddress
from testbed.services import checks
from testbed.services.allocate import allocate_services
from testbed.services.endpoints import Behind
from testbed.services.kube_proxy.ports import ProxiedPort, proxied_ports

SERVICE_CIDR = IPv4Network("10.96.0.0/12")  # kubeadm's default; for Services that say no address
ANY_PORT = range(1, MOST_PORT + 1)  # which are node ports is the API server's to say


def ports_of(objects: Objects, era: Era) -> tuple[ProxiedPort, ...]:
    """The ports of all Services, each with the endpoints that were written or its pods.

    Endpoints and EndpointSlices are what a cluster's controller wrote, so they come before the
    selector.  A pod is an endpoint when its status has an address.
    Raises DescriptionError with file and line: what Kubernetes would refuse of the Services.
    """
    slices = tuple(_watched(objects.endpoint_slices, era))
    services = tuple(_with_written_endpoints(objects.services, slices))
    found = checks.service_problems(objects.services, ANY_PORT), checks.hint_problems(services)
    for problem in chain.from_iterable(found):
        raise objects.refusal(problem) or problem.error()
    given = allocate_services("", services, SERVICE_CIDR, ())
    behind = Behind(objects.pods, _placed(objects), slices)
    return tuple(proxied_ports(era, services, given, behind))


def without_address(objects: Objects) -> tuple[str, ...]:
    """The pods that are nobody's endpoint, because nothing says where they are."""
    placed = {place.pod for place in _placed(objects)}
    return tuple(pod.netns for pod in objects.pods if pod.netns not in placed)


def _watched(slices: Iterable[EndpointSlice], era: Era) -> Iterator[EndpointSlice]:
    """Of a Service that has both kinds, as clusters do, the kind that kube-proxy watches."""
    slices = tuple(slices)
    kind = "Endpoints" if era == "1.14" else "EndpointSlice"
    there = {(one.namespace, one.service) for one in slices if one.kind == kind}
    for one in slices:
        if one.kind == kind or (one.namespace, one.service) not in there:
            yield one


def _with_written_endpoints(
    services: Iterable[Service], slices: Iterable[EndpointSlice]
) -> Iterator[Service]:
    written = {(one.namespace, one.service) for one in slices}
    for service in services:
        told = (service.namespace, service.name) in written
        yield replace(service, selector={}) if told else service


def _placed(objects: Objects) -> Iterator[PodAddress]:
    for pod in objects.pods:
        status = objects.statuses.get(pod.netns)
        if status and status.pod_ip:
            yield PodAddress(
                pod=pod.netns, cluster="", node=pod.node, device_index=0, ip=status.pod_ip
            )
