"""What AWS would refuse of load balancers; paths start at the cluster."""

from collections.abc import Iterable

from testbed.description.problem import Problem, Problems
from testbed.kubernetes.load_balancer import mistakes
from testbed.kubernetes.model import Service
from testbed.services.load_balancers.health import health_check


def problems(services: Iterable[Service]) -> Problems:
    """What AWS would refuse of a cluster's load balancers; paths start at the cluster."""
    for service in services:
        path = ("services", service.name)
        wrong = [*mistakes(service.annotations)]
        for name, message in wrong:
            yield Problem((*path, "annotations", name), message)
        if wrong:
            continue
        check = health_check(service)
        if service.type == "LoadBalancer":
            for i, port in enumerate(service.ports):
                if port.protocol != "TCP":
                    message = "Only TCP LoadBalancer is supported for AWS ELB"
                    yield Problem((*path, "ports", i, "protocol"), message)
        if check.timeout_s >= check.interval_s:
            message = "a health check's timeout must be smaller than its interval"
            yield Problem((*path, "healthCheck", "timeout"), message)
