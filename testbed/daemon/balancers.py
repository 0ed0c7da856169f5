"""A Service's load balancer as `describe` shows it: its name, addresses and targets.  Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from testbed.allocations import Allocations
from testbed.kubernetes.model import Service
from testbed.lab import Cluster, Lab, hostname, load_balancers
from testbed.vpc.ec2 import Eni

Row = dict[str, Any]
SILENT = "its haproxy does not answer"


def described(
    lab: Lab,
    cluster: Cluster,
    service: Service,
    allocations: Allocations,
    states: Callable[[str], Mapping[str, str]],
) -> Row | None:
    """The load balancer of a Service; None where its type has none.

    states: what a balancer, named by its namespace, thinks of each node.
    """
    if service.type != "LoadBalancer":
        return None
    enis = {eni.instance: eni for eni in allocations.enis if eni.device_index == 0}
    zones = [
        _zone(enis[balancer.netns], states(balancer.netns))
        for of, balancer in load_balancers(lab)
        if (of.name, balancer.service) == (cluster.name, service)
    ]
    return {"hostname": hostname(lab, cluster, service), "zones": zones}


def _zone(eni: Eni, judged: Mapping[str, str]) -> Row:
    return {
        "name": eni.instance,
        "publicIp": str(eni.public_ip),
        "privateIp": str(eni.primary),
        "targets": [f"{node} {state}" for node, state in judged.items()] or [SILENT],
    }
