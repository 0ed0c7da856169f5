"""How a Network Load Balancer checks its targets, and what it does with what it finds."""

from dataclasses import replace
from typing import Any

import pytest

from testbed.allocations import allocate
from testbed.kubernetes.kube_proxy import Era
from testbed.kubernetes.model import HealthCheck, Service, ServicePort
from testbed.lab import health
from testbed.lab.checks import problems
from testbed.plan.balancers import ended_connections
from testbed.services.load_balancers.health import Health, Judged, Server, health_check
from tests.services.load_balancers.network import (
    HTTP,
    PRESERVE,
    ZONE_A,
    ZONE_B,
    checks,
    lab,
    service,
    targets,
)


def ill(zone: str, *names: str) -> Health:
    """The health of a lab in which these targets of a zone are unhealthy."""
    return Health(unhealthy=frozenset((zone, Server("tcp-80", name)) for name in names))


def test_flows_go_to_healthy_targets_and_to_all_where_none_is() -> None:
    """Fail open (Network Load Balancers, "Target group health")."""
    web = service(cross_zone_load_balancing_enabled="true")

    assert targets(web, well=ill(ZONE_A, "node-1")) == ["tcp-80/node-2"]
    assert targets(web, well=ill(ZONE_A, "node-1", "node-2")) == ["tcp-80/node-1", "tcp-80/node-2"]
    assert targets(web, well=ill(ZONE_B, "node-1")) == ["tcp-80/node-1", "tcp-80/node-2"]


def test_a_zone_leaves_the_name_when_one_listener_has_no_healthy_target() -> None:
    web = service(HTTP, ServicePort(443, node_port=31788, name="tls"))
    http, tls = Server("tcp-80", "node"), Server("tcp-443", "node")
    judged: dict[str, Judged] = {
        ZONE_A: {http: "InService", tls: "OutOfService"},
        ZONE_B: {http: "InService", tls: "InService"},
    }

    found = health(lab(web), judged.__getitem__)

    assert found == Health(frozenset({ZONE_A}), frozenset({(ZONE_A, tls)}))


def test_its_health_check_has_its_own_numbers() -> None:
    """10 s / 30 s / 3 / 3, where a Classic one has 5 s / 10 s / 2 / 6."""
    check = health_check(service())

    assert (check.interval_s, check.timeout_s) == (30, 10)
    assert (check.healthy_threshold, check.unhealthy_threshold) == (3, 3)
    text = checks(service())
    assert "    timeout check 10000ms\n    default-server inter 30000ms rise 3 fall 3\n" in text
    assert "backend tcp-80\n    server node-1 10.0.1.4:31787 check port 31787\n" in text


LOCAL: dict[str, Any] = {"external_traffic_policy": "Local", "health_check_node_port": 32000}
NUMBERS: dict[str, tuple[dict[str, str], dict[str, Any], Era, tuple[int, int, int, int]]] = {
    "Kubernetes'": ({}, {}, "current", (30, 10, 3, 3)),
    "policy Local": ({}, LOCAL, "current", (10, 10, 2, 2)),
    "policy Local, 1.14": ({}, LOCAL, "1.14", (30, 10, 3, 3)),
    "the controller's": ({"type": "external"}, {}, "current", (10, 10, 3, 3)),
    "the controller's, Local": ({"type": "external"}, LOCAL, "current", (10, 6, 2, 2)),
    "the controller's, pods": ({"type": "nlb-ip"}, LOCAL, "current", (10, 10, 3, 3)),
    "as annotations say": ({"healthcheck_interval": "7"}, LOCAL, "current", (7, 10, 2, 2)),
}


@pytest.mark.parametrize(("how", "policy", "era", "numbers"), NUMBERS.values(), ids=NUMBERS)
def test_who_makes_it_says_how_often_targets_are_checked(
    how: dict[str, str], policy: dict[str, Any], era: Era, numbers: tuple[int, int, int, int]
) -> None:
    """Interval, timeout, healthy and unhealthy threshold: how long an outage is."""
    check = health_check(replace(service(**how), **policy), era)

    found = check.interval_s, check.timeout_s, check.healthy_threshold, check.unhealthy_threshold
    assert found == numbers


def test_a_timeout_may_be_as_long_as_the_interval() -> None:
    """As the controller's own are; a Classic one's has to be smaller."""

    def said(timeout_s: float, **how: str) -> list[str]:
        web = replace(service(**how), health_check=HealthCheck(interval_s=5, timeout_s=timeout_s))
        return [problem.message for problem in problems(lab(web))]

    assert said(5) == []
    assert said(6) == ["a health check's timeout must not be longer than its interval"]
    classic = Service("web", {"app": "web"}, (HTTP,), type="LoadBalancer")
    equal = replace(classic, health_check=HealthCheck(interval_s=5, timeout_s=5))
    [problem] = problems(lab(equal))
    assert problem.message == "a health check's timeout must be smaller than its interval"


def test_with_policy_local_nodes_are_asked_for_an_endpoint() -> None:
    web = replace(service(), external_traffic_policy="Local", health_check_node_port=32000)

    text = checks(web)

    assert "    option httpchk GET /healthz\n" in text
    assert "    server node-1 10.0.1.4:31787 check port 32000\n" in text


def test_the_targets_own_port_can_be_said_where_another_one_is_usual() -> None:
    """`traffic-port` with policy Local: the node port, still by HTTP."""
    web = replace(service(healthcheck_port="traffic-port"), **LOCAL)

    assert "    option httpchk GET /healthz\n" in checks(web)
    assert "    server node-1 10.0.1.4:31787 check port 31787\n" in checks(web)


def test_annotations_say_how_targets_are_checked() -> None:
    web = service(healthcheck_protocol="HTTP", healthcheck_port="8080", healthcheck_path="/up")

    assert "option httpchk GET /up\n    http-check expect status 200-399\n" in checks(web)
    codes = service(
        type="external", healthcheck_protocol="HTTP", healthcheck_success_codes="200, 301-308"
    )
    assert "http-check expect status 200,301-308\n" in checks(codes)
    assert "check port 8080\n" in checks(web)


@pytest.mark.parametrize(
    "annotations",
    [
        {"target_group_attributes": "proxy_protocol_v2.enabled=true"},
        {"type": "external", "proxy_protocol": "*"},
    ],
    ids=str,
)
def test_targets_are_told_of_the_client_in_health_checks_too(annotations: dict[str, str]) -> None:
    """Target groups, "Proxy protocol": the header is there, and tells of no client."""
    text = checks(service(**annotations))

    assert "server node-1 10.0.1.4:31787 send-proxy-v2 check-send-proxy check port" in text


def test_without_preservation_the_relay_speaks_for_itself() -> None:
    web = service(
        target_group_attributes=f"proxy_protocol_v2.enabled=true,{PRESERVE}=false",
        attributes="load_balancing.cross_zone.enabled=true",
    )

    assert "usesrc" not in checks(web)
    assert "10.0.2.4:31787" in checks(web)


def test_flows_of_who_becomes_unhealthy_end_unless_all_are() -> None:
    """A RST is for what clients still send; where all targets are taken, nothing ends."""
    described = lab(service(cross_zone_load_balancing_enabled="true"))
    allocations = allocate(described)

    def ended(before: str, after: str) -> dict[str, tuple[tuple[str, ...], ...]]:
        was, now = ill(ZONE_A, *before.split()), ill(ZONE_A, *after.split())
        return ended_connections(described, allocations, was, now)

    command = ("conntrack", "-D", "-p", "tcp", "--dport", "80", "--dst-nat", "10.0.1.4")
    assert ended("", "node-1") == {ZONE_A: (command,)}
    assert ended("node-1", "node-1") == {}, "they have ended"
    assert ended("", "node-1 node-2") == {}, "fail open"
    assert ended("node-1", "") == {}


def test_what_is_relayed_ends_by_haproxy() -> None:
    """Where there is another target; and not where the attribute says so."""
    told = "proxy_protocol_v2.enabled=true"
    kept = f"{told},target_health_state.unhealthy.connection_termination.enabled=false"
    both = {"cross_zone_load_balancing_enabled": "true"}

    assert "shutdown-sessions" in checks(service(target_group_attributes=told, **both))
    assert "shutdown-sessions" not in checks(service(target_group_attributes=kept, **both))
    assert "shutdown-sessions" not in checks(service(target_group_attributes=told)), "one target"


def test_whether_checks_of_another_port_have_the_proxy_header_is_a_setting() -> None:
    """AWS says that health checks have it, and nothing of those that ask another port."""
    told = service(
        target_group_attributes="proxy_protocol_v2.enabled=true", healthcheck_port="10254"
    )
    always = replace(told, health_check=HealthCheck(proxy_header="always"))

    assert "send-proxy-v2 check port 10254" in checks(told)
    assert "send-proxy-v2 check-send-proxy check port 10254" in checks(always)
