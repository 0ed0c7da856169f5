"""Which targets of load balancers are healthy, by their haproxies, and what follows from that."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from testbed.kubernetes.load_balancer import load_balancer
from testbed.kubernetes.model import HealthCheck, Service
from testbed.services.load_balancers import Balancer

HAPROXY = "haproxy"
STATISTICS = "stats"  # the Unix socket in the program's directory that tells the targets' health

# Elastic Load Balancing's words for a target's health (DescribeInstanceHealth)
TargetState = Literal["InService", "OutOfService"]
States = Callable[[str], Mapping[str, TargetState]]  # of the targets of a balancer, by its netns


def health_check(service: Service) -> HealthCheck:
    """A Service's, with what annotations change."""
    wanted, check = load_balancer(service.annotations), service.health_check
    return HealthCheck(
        interval_s=wanted.check_interval_s or check.interval_s,
        timeout_s=wanted.check_timeout_s or check.timeout_s,
        healthy_threshold=wanted.healthy_threshold or check.healthy_threshold,
        unhealthy_threshold=wanted.unhealthy_threshold or check.unhealthy_threshold,
    )


def unhealthy_zones(balancers: Iterable[Balancer], states: States) -> Iterator[Balancer]:
    """The balancers that leave their name: no target is healthy, and another zone has one.

    Those of one cluster.  Without any healthy target in any zone all of them stay.
    Source: Elastic Load Balancing User Guide, "How Elastic Load Balancing works", routing.
    """
    zones: dict[str, list[Balancer]] = {}
    for one in balancers:
        zones.setdefault(one.service.qualified, []).append(one)
    for own in zones.values():
        healthy = [one for one in own if "InService" in states(one.netns).values()]
        yield from (one for one in own if healthy and one not in healthy)
