"""What the API server refuses of a Service that is written again."""

from ipaddress import IPv4Address

import pytest

from testbed.description.problem import spelt
from testbed.kubernetes.model import Service, ServicePort
from testbed.kubernetes.placement import ServiceAddress
from testbed.services.updates import problems, with_kept

PORTS = (ServicePort(80),)
IP = IPv4Address("10.96.0.2")
GIVEN = (ServiceAddress("web", "eks", IP, (), (), 30010),)
OTHER = IPv4Address("10.96.9.9")
LOCAL = {"type": "LoadBalancer", "external_traffic_policy": "Local"}


def web(**said: object) -> Service:
    return Service("web", {"app": "web"}, PORTS, **said)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new", "key", "message"),
    [
        (web(), web(cluster_ip=OTHER), "clusterIp", 'the Service has "10.96.0.2"'),
        (web(), web(cluster_ip="None"), "clusterIp", "field is immutable"),
        (web(cluster_ip="None"), web(cluster_ip=IP), "clusterIp", 'the Service has "None"'),
        (
            web(type="LoadBalancer", load_balancer_class="a/b"),
            web(type="LoadBalancer"),
            "loadBalancerClass",
            "may not change once set",
        ),
        (
            web(**LOCAL),
            web(**LOCAL, health_check_node_port=30011),
            "healthCheckNodePort",
            "HealthCheckNodePort is immutable: the Service has 30010",
        ),
    ],
)
def test_some_things_are_for_ever(old: Service, new: Service, key: str, message: str) -> None:
    [problem] = problems([old], [new], GIVEN)

    assert spelt(problem.path) == f"services.web.{key}"
    assert message in problem.message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (web(), web(cluster_ip=IP)),
        (web(type="ExternalName"), web(cluster_ip=OTHER)),
        (web(), web(type="NodePort")),
        (web(**LOCAL), web(**LOCAL, health_check_node_port=30010)),
        (web(**LOCAL), web(type="LoadBalancer")),
    ],
)
def test_the_rest_may_change(old: Service, new: Service) -> None:
    assert list(problems([old], [new], GIVEN)) == []


def test_a_headless_service_that_says_nothing_stays_headless() -> None:
    """The API server fills in what it has (patchAllocatedValues)."""
    assert with_kept([web(cluster_ip="None")], [web()]) == (web(cluster_ip="None"),)
    assert with_kept([web()], [web()]) == (web(),)
