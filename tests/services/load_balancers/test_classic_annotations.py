"""What annotations make of a Classic ELB: zones, timers, TLS, and what is refused."""

from dataclasses import replace

import pytest

from testbed.allocations import allocate
from testbed.kubernetes.load_balancers.annotations import PREFIX
from testbed.kubernetes.model import Service, ServicePort
from testbed.lab.checks import problems, warnings
from testbed.services.dns import Record
from testbed.services.load_balancers import balancers
from testbed.services.load_balancers.naming import balancer_records, dns_name
from tests.services.load_balancers.classic import NODES, VPC, WEB, haproxy_cfg, lab


def annotated(**annotations: str) -> Service:
    """The Service with annotations, dashes written as underscores."""
    names = {f"{PREFIX}{name.replace('_', '-')}": text for name, text in annotations.items()}
    return replace(WEB, annotations=names)


def test_cross_zone_balancing_takes_every_node_in_every_zone() -> None:
    service = annotated(cross_zone_load_balancing_enabled="true")

    assert [one.nodes for one in balancers(VPC, NODES, (service,))] == [
        ("node-1", "node-3", "node-2"),
        ("node-1", "node-3", "node-2"),
    ]


@pytest.mark.parametrize("text", ["true", "0.0.0.0/0"])
def test_an_internal_one_has_private_addresses_and_says_so_in_its_name(text: str) -> None:
    """Older manifests have a range in the annotation."""
    service = annotated(internal=text)
    enis = {eni.instance: eni for eni in allocate(lab(service)).enis}

    eni = enis["elb-web-us-west-2a"]
    assert (eni.subnet, eni.public_ip) == ("private-a", None)
    assert dns_name("eks", service, "us-west-2").startswith("internal-a")
    assert [*balancer_records("name", [eni])] == [Record("name", eni.primary, 60)]


def test_an_internal_one_needs_no_public_subnet() -> None:
    service = annotated(internal="true")

    assert len(balancers(replace(VPC, internet_gateway=False), NODES, (service,))) == 2
    assert balancers(VPC, NODES, (annotated(internal="false"),))[0].subnet.name == "public-a"


def test_annotations_set_timers_and_thresholds() -> None:
    service = annotated(
        connection_idle_timeout="300",
        healthcheck_interval="20",
        healthcheck_timeout="4",
        healthcheck_healthy_threshold="3",
        healthcheck_unhealthy_threshold="4",
    )

    text = haproxy_cfg(service)

    assert "    timeout client 300s\n    timeout server 300s\n    timeout check 4000ms\n" in text
    assert "    default-server inter 20000ms rise 3 fall 4\n" in text


def test_with_the_proxy_protocol_targets_are_told_who_called_and_checks_are_not() -> None:
    assert "    default-server send-proxy no-check-send-proxy\n" in haproxy_cfg(
        annotated(proxy_protocol="*")
    )


TWO_PORTS = (
    ServicePort(443, node_port=31443, name="https"),
    ServicePort(80, node_port=31787, name="http"),
)
CERTIFICATE = {"ssl_cert": "arn:aws:acm:us-west-2:111122223333:certificate/1"}


def listeners(**annotations: str) -> list[tuple[str, list[str]]]:
    """Of a balancer with two ports: where each is bound, and what it says of its first server."""
    service = replace(annotated(**annotations), ports=TWO_PORTS)
    parts = haproxy_cfg(service).split("listen ")[1:]
    return [
        (part.partition("bind ")[2].splitlines()[0].partition(":")[2], server.split()[3:])
        for part in parts
        for server in part.splitlines()
        if server.startswith("    server node-1 ")
    ]


@pytest.mark.parametrize(
    ("annotations", "https", "http"),
    [
        # kubernetes v1.14, aws.go: buildListener, and the test of it
        ({}, "443", "80"),
        (CERTIFICATE, "443 ssl crt tls.pem", "80 ssl crt tls.pem"),
        ({**CERTIFICATE, "ssl_ports": "443"}, "443 ssl crt tls.pem", "80"),
        ({**CERTIFICATE, "ssl_ports": "https"}, "443 ssl crt tls.pem", "80"),
        ({**CERTIFICATE, "ssl_ports": "*"}, "443 ssl crt tls.pem", "80 ssl crt tls.pem"),
        ({"ssl_ports": "443"}, "443", "80"),
    ],
)
def test_ports_with_a_certificate_speak_tls(
    annotations: dict[str, str], https: str, http: str
) -> None:
    assert [bound for bound, _ in listeners(**annotations)] == [https, http]


@pytest.mark.parametrize(
    ("backend", "of_443", "check"),
    [
        ("tcp", [], ["check"]),
        ("ssl", ["ssl", "verify", "none"], ["check"]),
        ("https", ["ssl", "verify", "none"], ["check"]),
        ("http", [], ["check"]),
    ],
)
def test_what_targets_speak(backend: str, of_443: list[str], check: list[str]) -> None:
    """Only where there is a certificate; they are checked in what they speak."""
    found = listeners(**CERTIFICATE, ssl_ports="443", backend_protocol=backend)

    assert found[0][1] == [*of_443, *check]
    assert found[1][1] == ["track", "443/node-1"]


@pytest.mark.parametrize(
    ("annotations", "modes"),
    [
        ({"backend_protocol": "http"}, 2),
        ({"backend_protocol": "https"}, 0),  # without a certificate: TCP
        ({"backend_protocol": "ssl"}, 0),
        ({**CERTIFICATE, "ssl_ports": "443", "backend_protocol": "http"}, 2),
        ({**CERTIFICATE, "ssl_ports": "443", "backend_protocol": "https"}, 1),
        (CERTIFICATE, 0),
    ],
)
def test_requests_are_passed_on_where_targets_speak_http(
    annotations: dict[str, str], modes: int
) -> None:
    text = haproxy_cfg(replace(annotated(**annotations), ports=TWO_PORTS))

    assert text.count("    mode http\n    balance leastconn\n") == modes


def test_the_health_check_port_speaks_http_without_tls() -> None:
    service = annotated(**CERTIFICATE, backend_protocol="ssl")
    local = replace(service, external_traffic_policy="Local", health_check_node_port=32000)

    assert " ssl verify none check port 32000 no-check-ssl\n" in haproxy_cfg(local)


@pytest.mark.parametrize("name", ["example.com/mine", "eks.amazonaws.com/nlb"])
def test_of_a_class_that_nobody_makes_there_is_none(name: str) -> None:
    service = replace(WEB, load_balancer_class=name, session_affinity="ClientIP")

    assert balancers(VPC, NODES, (service,)) == ()
    assert [*problems(lab(service))] == []
    [warning] = [one for one in warnings(lab(service)) if "class" in one.message]
    assert f'nobody makes load balancers of the class "{name}"' in warning.message


def test_a_class_is_for_load_balancers_and_has_a_name() -> None:
    inside = replace(WEB, type="ClusterIP", ports=(ServicePort(80),))
    cluster_ip = replace(inside, load_balancer_class="service.k8s.aws/nlb")
    odd = replace(WEB, load_balancer_class="a class")

    for service, told in ((cluster_ip, "`type` is 'LoadBalancer'"), (odd, "expected a name")):
        [problem] = problems(lab(service))
        assert problem.key == "clusters.eks.services.web.loadBalancerClass"
        assert told in problem.message


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("type", "alb", 'expected "nlb" or "nlb-ip" or "external", found "alb"'),
        ("ssl_cert", "", "expected a certificate's ARN, found nothing"),
        ("ssl_ports", "443,,", 'expected ports such as "443, admin" or "*"'),
        ("backend_protocol", "h2", 'expected "tcp" or "ssl" or "http" or "https", found "h2"'),
        ("connection_draining_timeout", "0", "expected a number from 1 to 3600"),
        ("s3_bucket", "mine", "is not enforced by the testbed"),
        ("proxy_protocol", "all", 'the only value supported currently is "*", found "all"'),
        ("cross_zone_load_balancing_enabled", "yes", 'expected "true" or "false", found "yes"'),
        ("connection_idle_timeout", "0", 'expected a number from 1 to 4000, found "0"'),
        ("healthcheck_interval", "1.5", 'expected a number from 5 to 300, found "1.5"'),
        ("healthcheck_timeout", "10", "must be smaller than its interval"),
    ],
)
def test_a_wrong_annotation_is_one_clear_problem(name: str, text: str, told: str) -> None:
    [problem] = problems(lab(annotated(**{name: text})))

    assert told in problem.message
    assert problem.key.startswith("clusters.eks.services.web.")
