"""A Service's load balancer as `describe` shows it: its name, addresses and targets.  Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from testbed.allocations import Allocations
from testbed.kubernetes.model import Service
from testbed.lab import Cluster, Lab, hostname, load_balancers
from testbed.services.load_balancers import Balancer
from testbed.services.load_balancers.health import Judged, States, TargetState
from testbed.vpc.eni import Eni

Row = dict[str, Any]
SILENT = "its haproxy does not answer"
# what DescribeTargetHealth says of a Network Load Balancer's
HEALTH: Mapping[TargetState, str] = {"InService": "healthy", "OutOfService": "unhealthy"}


def described(
    lab: Lab,
    cluster: Cluster,
    service: Service,
    allocations: Allocations,
    states: States,
) -> Row | None:
    """The load balancer of a Service; None where its type has none.

    states: what a balancer, named by its namespace, thinks of each target.
    """
    if service.type != "LoadBalancer":
        return None
    enis = {eni.instance: eni for eni in allocations.enis if eni.device_index == 0}
    zones = [
        _zone(balancer, enis[balancer.netns], states(balancer.netns))
        for of, balancer in load_balancers(lab)
        if (of.name, balancer.service) == (cluster.name, service)
    ]
    return {"hostname": hostname(lab, cluster, service), "zones": zones}


def _zone(balancer: Balancer, eni: Eni, judged: Judged) -> Row:
    return {
        "name": eni.instance,
        "publicIp": str(eni.public_ip or ""),
        "privateIp": str(eni.primary),
        "targets": [*_targets(balancer, judged)] or [SILENT],
    }


def _targets(balancer: Balancer, judged: Judged) -> Iterator[str]:
    """`node-1 InService`; of a Network Load Balancer for each listener `tcp-80 node-1 healthy`."""
    if balancer.is_network:
        yield from (
            f"{one.listener} {one.target} {HEALTH[state]}" for one, state in judged.items()
        )
    else:
        yield from {f"{one.target} {state}": None for one, state in judged.items()}
