"""A Network Load Balancer's annotations: what each controller takes, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from testbed.kubernetes.load_balancers.annotations import PREFIX, load_balancer
from testbed.kubernetes.model import ServicePort
from testbed.lab.checks import problems
from testbed.load import load
from testbed.services.load_balancers import balancers
from tests.services.load_balancers.network import NODES, PRESERVE, VPC, lab, service


def test_the_controllers_are_internal_unless_their_scheme_says_otherwise() -> None:
    found = {
        scheme: balancers(VPC, NODES, (service(type="external", **scheme_of),))[0].subnet.name
        for scheme, scheme_of in {
            "none": {},
            "internal": {"scheme": "internal"},
            "internet-facing": {"scheme": "internet-facing"},
        }.items()
    }

    assert found == {"none": "private-a", "internal": "private-a", "internet-facing": "public-a"}


def test_several_attributes_and_those_that_change_no_packet_are_taken() -> None:
    pods = service(
        type="external",
        nlb_target_type="ip",
        attributes="load_balancing.cross_zone.enabled=true, deletion_protection.enabled=true",
        target_group_attributes=f"deregistration_delay.timeout_seconds=30,{PRESERVE}=true",
    )

    assert [*problems(lab(pods))] == []
    assert (load_balancer(pods).cross_zone, load_balancer(pods).preserves("TCP")) == (True, True)


def test_the_class_is_the_controllers_type() -> None:
    """AWS Load Balancer Controller: spec.loadBalancerClass, which wants no annotation."""
    by_class = replace(service(), annotations={}, load_balancer_class="service.k8s.aws/nlb")
    by_type = service(type="external")

    assert load_balancer(by_class) == load_balancer(by_type)
    assert [*problems(lab(by_class))] == []


def test_kubernetes_of_2019_knows_no_class(topologies: Path) -> None:
    kops = load(topologies / "kops.yaml")
    [cluster] = kops.clusters
    classed = replace(service(), annotations={}, load_balancer_class="service.k8s.aws/nlb")

    [problem] = problems(replace(kops, clusters=(replace(cluster, services=(classed,)),)))

    assert problem.key == "clusters.kops.services.web.loadBalancerClass"


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_annotations_about_one_thing_the_better_known_wins(turned: bool) -> None:
    """Whatever their order: scheme is newer than internal, a list is for what has none."""
    told = {
        "type": "external",
        "internal": "true",
        "scheme": "internet-facing",
        "attributes": "load_balancing.cross_zone.enabled=true",
        "cross_zone_load_balancing_enabled": "false",
    }
    ordered = dict(reversed(told.items())) if turned else told

    wanted = load_balancer(service(**ordered))

    assert not wanted.internal
    assert not wanted.cross_zone


@pytest.mark.parametrize(
    "annotation",
    [{"scheme": "internal"}, {"attributes": "deletion_protection.enabled=true"}],
    ids=str,
)
def test_what_the_cloud_provider_would_pass_over_is_refused(annotation: dict[str, str]) -> None:
    """A load balancer of its own would face the internet, whatever `scheme` says."""
    [problem] = problems(lab(service(**annotation)))

    assert "only AWS Load Balancer Controller knows it" in problem.message


DNS = (ServicePort(53, name="tcp"), ServicePort(53, name="udp", protocol="UDP"))
QUIC = (ServicePort(443, name="tcp"), ServicePort(8443, name="udp", protocol="UDP"))


@pytest.mark.parametrize(
    ("ports", "how", "told"),
    [
        (QUIC, {"type": "nlb"}, "mixed protocol is not supported for LoadBalancer"),
        (QUIC, {"type": "external"}, ""),
        (DNS, {"type": "external"}, "A listener already exists on this port"),
        (DNS, {"type": "external", "enable_tcp_udp_listener": "true"}, ""),
    ],
)
def test_two_protocols_are_for_awss_controller_and_one_port_for_both_if_asked_for(
    ports: tuple[ServicePort, ...], how: dict[str, str], told: str
) -> None:
    """checkMixedProtocol of the cloud provider; DuplicateListener of Elastic Load Balancing."""
    found = [problem.message for problem in problems(lab(service(*ports, **how)))]

    assert len(found) == bool(told)
    assert all(message.startswith(told) for message in found)


@pytest.mark.parametrize(
    ("annotations", "told"),
    [
        ({"type": "alb"}, 'expected "nlb" or "nlb-ip" or "external", found "alb"'),
        ({"type": "nlb", "nlb_target_type": "ip"}, 'has to be "external" for it, not "nlb"'),
        ({"type": "external", "nlb_target_type": "pod"}, 'expected "instance" or "ip"'),
        ({"proxy_protocol": "*"}, "proxy_protocol_v2.enabled=true does"),
        ({"name": "web"}, "only AWS Load Balancer Controller knows it"),
        ({"type": "external", "name": "internal-web"}, 'nor may it begin with "internal-"'),
        ({"type": "external", "name": "w" * 33}, "at most 32 letters"),
        ({"type": "external", "eip_allocations": "a, b"}, "that face the internet"),
        ({"backend_protocol": "http"}, "speaks tcp or ssl with its targets"),
        ({"connection_draining_enabled": "true"}, "for Classic Load Balancers only"),
        ({"subnets": "public-a, public-c"}, 'there is no subnet "public-c"; did you mean'),
        ({"subnets": "public-a, private-a"}, "are both in us-west-2a"),
        ({"target_node_labels": "disk"}, 'expected labels such as "disk=ssd"'),
        ({"subnets": "public-a,"}, 'expected different names such as "a, b"'),
        ({"target_group_attributes": "stickiness.type=lb_cookie"}, 'expected "source_ip"'),
        ({"target_group_attributes": "slow_start.duration_seconds=30"}, "is not enforced"),
        ({"target_group_attributes": "stickiness.enabled"}, "expected attributes such as"),
        ({"target_group_attributes": "stickiness.enabled=1,stickiness=1"}, '"stickiness" is not'),
        ({"attributes": "ipv6.deny_all_igw_traffic=true"}, "is not enforced"),
        ({"attributes": "dns_record.client_routing_policy=x"}, 'expected "any_availability_zone"'),
        ({"ip_address_type": "dualstack"}, 'expected "ipv4", found "dualstack"'),
        ({"target_group_attributes": f"{PRESERVE}=maybe"}, 'expected "true" or "false"'),
        ({"healthcheck_port": "0"}, "expected a number from 1 to 65535"),
        ({"type": "external", "healthcheck_success_codes": "399-200"}, "expected codes such as"),
        ({"type": "external", "healthcheck_success_codes": "2x0"}, "expected codes such as"),
        ({"healthcheck_success_codes": "200"}, "only AWS Load Balancer Controller knows it"),
        ({"healthcheck_path": "up"}, 'expected a path such as "/healthz"'),
        ({"healthcheck_path": "/up\nglobal"}, 'expected a path such as "/healthz"'),
        ({"healthcheck_path": "/up #"}, 'expected a path such as "/healthz"'),
        ({"ssl_cert": ""}, "expected a certificate's ARN"),
    ],
)
def test_a_wrong_annotation_is_one_clear_problem(annotations: dict[str, str], told: str) -> None:
    [problem] = problems(lab(service(**annotations)))

    assert told in problem.message
    assert problem.key.startswith("clusters.eks.services.web.annotations")


def test_annotations_of_its_own_need_its_type() -> None:
    classic = replace(service(), annotations={f"{PREFIX}scheme": "internal"})

    [problem] = problems(lab(classic))

    assert "only a Network Load Balancer has it" in problem.message


def test_udp_is_taken_and_its_client_cannot_be_hidden() -> None:
    dns = ServicePort(53, node_port=31053, protocol="UDP")

    assert [*problems(lab(service(dns)))] == []
    [problem] = problems(lab(service(dns, target_group_attributes=f"{PRESERVE}=false")))
    assert problem.key == "clusters.eks.services.web.ports[0].protocol"


def test_kubernetes_of_2019_knows_tcp_only(topologies: Path) -> None:
    """EnsureLoadBalancer asks for the protocol before it asks for the type."""
    kops = load(topologies / "kops.yaml")
    [cluster] = kops.clusters
    dns = service(ServicePort(53, protocol="UDP"))

    [problem] = problems(replace(kops, clusters=(replace(cluster, services=(dns,)),)))

    assert problem.message == "Only TCP LoadBalancer is supported for AWS ELB"


def test_kubernetes_refuses_session_affinity_and_the_controller_does_not() -> None:
    sticky = replace(service(), session_affinity="ClientIP")
    by_controller = replace(service(type="external"), session_affinity="ClientIP")

    [problem] = problems(lab(sticky))
    assert problem.message == "unsupported load balancer affinity: ClientIP"
    assert [*problems(lab(by_controller))] == []


@pytest.mark.parametrize(
    "annotation", [{"ssl_cert": "x"}, {"subnets": "public-a"}, {"target_node_labels": "a=b"}]
)
def test_kubernetes_of_2019_knows_neither_tls_nor_subnets(
    topologies: Path, annotation: dict[str, str]
) -> None:
    kops = load(topologies / "kops.yaml")
    web = service(ServicePort(80), **annotation)
    [cluster] = kops.clusters

    [problem] = problems(replace(kops, clusters=(replace(cluster, services=(web,)),)))

    assert "it is not in era 1.14" in problem.message


def test_the_proxy_protocol_is_for_tcp() -> None:
    dns = ServicePort(53, protocol="UDP")

    [problem] = problems(
        lab(service(dns, target_group_attributes="proxy_protocol_v2.enabled=true"))
    )

    assert problem.message == "the testbed has the PROXY protocol for TCP only"
