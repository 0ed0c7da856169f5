"""What AWS, or who asks AWS for load balancers, would refuse; paths start at the cluster."""

from collections.abc import Iterable

from testbed.description.problem import Problem, Problems
from testbed.kubernetes.load_balancer import PREFIX, load_balancer, mistakes
from testbed.kubernetes.model import Service
from testbed.services.load_balancers.health import health_check


def problems(services: Iterable[Service], *, pods_in_vpc: bool) -> Problems:
    """What is wrong with the load balancers of a cluster.

    pods_in_vpc: whether its pods have addresses of the VPC.
    """
    for service in services:
        wrong = [*mistakes(service.annotations)]
        found = [Problem(("annotations", name), message) for name, message in wrong]
        if not wrong:
            found += _timers(service)
        if not wrong and service.type == "LoadBalancer":
            found += [*_protocols(service), *_affinity(service), *_pods(service, pods_in_vpc)]
        for problem in found:
            yield problem.under("services", service.name)


def _timers(service: Service) -> Problems:
    check = health_check(service)
    if check.timeout_s >= check.interval_s:
        message = "a health check's timeout must be smaller than its interval"
        yield Problem(("healthCheck", "timeout"), message)


def _protocols(service: Service) -> Problems:
    """UDP is for Network Load Balancers, which then cannot hide the client."""
    wanted = load_balancer(service.annotations)
    for i, port in enumerate(service.ports):
        path = ("ports", i, "protocol")
        if port.protocol != "TCP" and not wanted.is_network:
            yield Problem(path, "Only TCP LoadBalancer is supported for AWS ELB")
        if port.protocol == "UDP" and wanted.preserve_client_ip is False:
            message = "preserve_client_ip.enabled cannot be false for a target group of UDP"
            yield Problem(path, message)


def _affinity(service: Service) -> Problems:
    """EnsureLoadBalancer's refusal; AWS' own controller does not ask."""
    by_controller = load_balancer(service.annotations).by_controller
    if service.session_affinity != "None" and not by_controller:
        message = f"unsupported load balancer affinity: {service.session_affinity}"
        yield Problem(("sessionAffinity",), message)


def _pods(service: Service, pods_in_vpc: bool) -> Problems:
    """AWS Load Balancer Controller, "Network Load Balancer", IP mode."""
    wanted = load_balancer(service.annotations)
    if wanted.target_type == "ip" and not pods_in_vpc:
        message = "pods can be targets only where they have addresses of the VPC"
        by_type = wanted.nlb_target_type is None
        yield Problem(
            ("annotations", f"{PREFIX}{'type' if by_type else 'nlb-target-type'}"), message
        )
