"""What AWS, or who asks it for load balancers, refuses of a Service."""

from ipaddress import IPv4Address
from typing import Any

import pytest

from testbed.kubernetes.kube_proxy import Era
from testbed.kubernetes.load_balancers.annotations import PREFIX
from testbed.kubernetes.model import Service, ServicePort
from testbed.services.load_balancers.checks import problems

PODS = {f"{PREFIX}type": "external", f"{PREFIX}nlb-target-type": "ip"}
ALONE = {"allocate_load_balancer_node_ports": False}


def refused(era: Era = "current", **fields: Any) -> list[str]:
    service = Service("web", ports=fields.pop("ports", (ServicePort(80),)), **fields)
    balanced = problems([service], era, pods_in_vpc=True)
    return [f"{problem.key}: {problem.message}" for problem in balanced]


def test_no_load_balancer_of_aws_has_an_address_that_was_asked_for() -> None:
    """kubernetes, legacy-cloud-providers/aws: EnsureLoadBalancer."""
    assert refused(type="LoadBalancer", load_balancer_ip=IPv4Address("203.0.113.9")) == [
        "services.web.loadBalancerIP: LoadBalancerIP cannot be specified for AWS ELB"
    ]
    assert refused(load_balancer_ip=IPv4Address("203.0.113.9")) == [], "nobody reads it"


@pytest.mark.parametrize(
    ("fields", "known"),
    [
        (ALONE | {"annotations": PODS}, True),
        (ALONE | {"ports": (ServicePort(80, node_port=30080),)}, True),
        (ALONE, False),
        (ALONE | {"annotations": PODS, "era": "1.14"}, False),
    ],
    ids=["pods are targets", "it says them itself", "nodes are targets", "1.14"],
)
def test_who_sends_to_nodes_needs_node_ports(fields: dict[str, Any], known: bool) -> None:
    """AWS Load Balancer Controller, "Network Load Balancer": IP mode goes without."""
    found = refused(type="LoadBalancer", **fields)

    assert (found == []) is known
    assert all("allocateLoadBalancerNodePorts" in one for one in found)
