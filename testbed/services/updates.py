"""What the API server refuses of a Service that takes another one's place.

Words: kubernetes, pkg/apis/core/validation (ValidateServiceUpdate), pkg/registry/core/service.
Paths start at the cluster.
"""

from collections.abc import Iterable
from dataclasses import replace

from testbed.description.problem import Problem, Problems, quoted
from testbed.kubernetes.model import Service
from testbed.kubernetes.placement import ServiceAddress
from testbed.kubernetes.service_fields import NO_CLUSTER_IP

IMMUTABLE = "field is immutable"


def problems(
    before: Iterable[Service], after: Iterable[Service], given: Iterable[ServiceAddress]
) -> Problems:
    """What of some Services may not change.  given: what those before were given."""
    there = {service.qualified: service for service in before}
    addresses = {one.service: one for one in given}
    for service in after:
        old = there.get(service.qualified)
        if old is not None and old != service:
            address = addresses.get(service.qualified, ServiceAddress(service.qualified, "", None))
            for problem in _of_one(old, service, address):
                yield problem.under("services", service.qualified)


def with_kept(before: Iterable[Service], after: Iterable[Service]) -> tuple[Service, ...]:
    """The Services as they are stored: one that was headless stays so where it says nothing."""
    headless = {service.qualified for service in before if service.headless}
    return tuple(
        replace(service, cluster_ip=NO_CLUSTER_IP)
        if service.qualified in headless and service.cluster_ip is None and service.has_cluster_ip
        else service
        for service in after
    )


def _of_one(old: Service, new: Service, address: ServiceAddress) -> Problems:
    both = "ExternalName" not in (old.type, new.type)
    had = NO_CLUSTER_IP if old.headless else address.cluster_ip or old.cluster_ip
    if both and had and new.cluster_ip not in (None, had):
        yield Problem(("clusterIp",), f"{IMMUTABLE}: the Service has {quoted(str(had))}")
    balanced = old.type == new.type == "LoadBalancer"
    if balanced and old.load_balancer_class != new.load_balancer_class:
        yield Problem(("loadBalancerClass",), "may not change once set")
    checked = old.needs_health_check and new.needs_health_check
    port = address.health_check_node_port
    if checked and port and new.health_check_node_port not in (None, port):
        message = f"HealthCheckNodePort is immutable: the Service has {port}"
        yield Problem(("healthCheckNodePort",), message)
