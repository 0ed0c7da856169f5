"""Which targets of load balancers are healthy, by their haproxies, and what follows from that."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from testbed.kubernetes.kube_proxy import Era
from testbed.kubernetes.load_balancers.annotations import load_balancer
from testbed.kubernetes.model import Service
from testbed.services.load_balancers import Balancer

HAPROXY = "haproxy"
STATISTICS = "stats"  # the Unix socket in the program's directory that tells the targets' health

# Elastic Load Balancing's words for a target's health (DescribeInstanceHealth)
TargetState = Literal["InService", "OutOfService"]


class Server(NamedTuple):
    """A target of one listener, as haproxy names both."""

    listener: str
    target: str


Judged = Mapping[Server, TargetState]
States = Callable[[str], Judged]  # of a balancer, by its namespace


@dataclass(frozen=True)
class Health:
    """What load balancers have found out about their targets; at first all are taken for healthy.

    left_out: the balancers, by namespace, whose addresses their names do not stand for.
    unhealthy: targets of Network Load Balancers, with the namespace of the one that says so.
    """

    left_out: frozenset[str] = frozenset()
    unhealthy: frozenset[tuple[str, Server]] = frozenset()


ALL_WELL = Health()


@dataclass(frozen=True)
class Check:
    """The numbers of a health check."""

    interval_s: float
    timeout_s: float
    healthy_threshold: int
    unhealthy_threshold: int


# kubernetes v1.14, pkg/cloudprovider/providers/aws: aws_loadbalancer.go
CLASSIC = Check(interval_s=10, timeout_s=5, healthy_threshold=2, unhealthy_threshold=6)
NETWORK = Check(interval_s=30, timeout_s=10, healthy_threshold=3, unhealthy_threshold=3)
# cloud-provider-aws, pkg/providers/v1/aws.go: buildNLBHealthCheckConfiguration, with policy Local
NETWORK_LOCAL = Check(interval_s=10, timeout_s=10, healthy_threshold=2, unhealthy_threshold=2)
# AWS Load Balancer Controller, pkg/service/model_builder.go; …ForInstanceModeLocal
CONTROLLER = Check(interval_s=10, timeout_s=10, healthy_threshold=3, unhealthy_threshold=3)
CONTROLLER_LOCAL = Check(interval_s=10, timeout_s=6, healthy_threshold=2, unhealthy_threshold=2)


def _usual(service: Service, era: Era) -> Check:
    """As who makes it has it; nodes with policy Local tell sooner that they have no endpoint."""
    wanted = load_balancer(service)
    local = service.needs_health_check and wanted.target_type == "instance"
    if not wanted.is_network:
        return CLASSIC
    if wanted.by_controller:
        return CONTROLLER_LOCAL if local else CONTROLLER
    return NETWORK_LOCAL if local and era != "1.14" else NETWORK


def health_check(service: Service, era: Era = "current") -> Check:
    """A Service's: what annotations say, else what the Service does, else as its kind has it.

    era: of its cluster's Kubernetes.
    """
    wanted, own, usual = load_balancer(service), service.health_check, _usual(service, era)
    return Check(
        wanted.check_interval_s or own.interval_s or usual.interval_s,
        wanted.check_timeout_s or own.timeout_s or usual.timeout_s,
        wanted.healthy_threshold or own.healthy_threshold or usual.healthy_threshold,
        wanted.unhealthy_threshold or own.unhealthy_threshold or usual.unhealthy_threshold,
    )


def checking(balancer: Balancer) -> Iterator[str]:
    """The lines of haproxy's `defaults` with which it checks.

    Targets begin as healthy and leave with the first check that fails; at AWS it is the other way
    round, and a new load balancer takes no connection for as long as checks take.
    """
    check = health_check(balancer.service, balancer.era)
    yield f"    timeout check {_ms(check.timeout_s)}"
    thresholds = f"rise {check.healthy_threshold} fall {check.unhealthy_threshold}"
    yield f"    default-server inter {_ms(check.interval_s)} {thresholds}"


def _ms(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def unhealthy_zones(
    balancers: Iterable[Balancer], states: Mapping[str, Judged]
) -> Iterator[Balancer]:
    """The balancers that leave their name: no target is healthy, and another zone has one.

    Those of one cluster.  Without any healthy target in any zone all of them stay.
    Source: Elastic Load Balancing User Guide, "How Elastic Load Balancing works", routing.
    """
    zones: dict[str, list[Balancer]] = {}
    for one in balancers:
        zones.setdefault(one.service.qualified, []).append(one)
    for own in zones.values():
        healthy = [one for one in own if _is_healthy(states[one.netns])]
        yield from (one for one in own if healthy and one not in healthy)


def _is_healthy(states: Judged) -> bool:
    """Whether each listener has a target.

    Network Load Balancers, "Target group health": one target group that has none takes the zone
    out of the name.
    """
    listeners = {server.listener for server in states}
    serving = {server.listener for server, state in states.items() if state == "InService"}
    return bool(serving) and serving == listeners


def unhealthy_targets(
    balancers: Iterable[Balancer], states: Mapping[str, Judged]
) -> Iterator[tuple[str, Server]]:
    """The targets that Network Load Balancers send nothing new to, if they have others."""
    for one in balancers:
        if one.is_network:
            for server, state in states[one.netns].items():
                if state == "OutOfService":
                    yield one.netns, server
