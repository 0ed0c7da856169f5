"""The annotations of Kubernetes' AWS cloud provider, and of AWS' own controller.

Source: kubernetes v1.14, pkg/cloudprovider/providers/aws: aws.go (ServiceAnnotation…,
EnsureLoadBalancer), aws_loadbalancer.go; for the types `external` and `nlb-ip` AWS Load Balancer
Controller, "Network Load Balancer" and "Annotations".
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Literal, NamedTuple

from testbed.kubernetes.load_balancers import texts
from testbed.kubernetes.load_balancers.clients import SOURCE_RANGES, ranges
from testbed.kubernetes.load_balancers.model import LoadBalancer
from testbed.kubernetes.load_balancers.texts import Setting, between, checked, one_of, sets, truth
from testbed.kubernetes.model import Service

PREFIX = "service.beta.kubernetes.io/aws-load-balancer-"
CONTROLLER_CLASS = "service.k8s.aws/nlb"  # a loadBalancerClass that is the type `external`

MOST_IDLE_S = 4000  # ConnectionSettings of AWS' API
MOST_DRAINING_S = 3600  # ConnectionDraining; of target groups deregistration_delay


class Reader(NamedTuple):
    """What an annotation sets, and which kind of load balancer has it."""

    read: Setting
    of: Literal["any", "classic", "network", "controller"] = "any"


ATTRIBUTES: Mapping[str, Setting] = {
    "load_balancing.cross_zone.enabled": sets("cross_zone", truth),
    "deletion_protection.enabled": checked(truth),
    "access_logs.s3.enabled": checked(truth),
    "access_logs.s3.bucket": checked(str),
    "access_logs.s3.prefix": checked(str),
    "dns_record.client_routing_policy": checked(one_of("any_availability_zone")),
    "zonal_shift.config.enabled": checked(truth),
}
# Draining: a target that leaves a lab leaves with its address, so no flow could go on.
TARGET_GROUP_ATTRIBUTES: Mapping[str, Setting] = {
    "preserve_client_ip.enabled": sets("preserve_client_ip", truth),
    "stickiness.enabled": sets("sticky", truth),
    "stickiness.type": checked(one_of("source_ip")),
    "deregistration_delay.timeout_seconds": checked(between(0, MOST_DRAINING_S)),
    "deregistration_delay.connection_termination.enabled": checked(one_of("false")),
    "proxy_protocol_v2.enabled": sets("proxy_protocol", truth),
    "target_health_state.unhealthy.connection_termination.enabled": sets("ends_unhealthy", truth),
}
# By the annotation behind the prefix.  Ranges are AWS' own.
READERS: Mapping[str, Reader] = {
    "type": Reader(sets("type", one_of("nlb", "nlb-ip", "external"))),
    "internal": Reader(sets("is_internal", texts.internal)),
    "cross-zone-load-balancing-enabled": Reader(sets("cross_zone", truth)),
    "proxy-protocol": Reader(sets("proxy_protocol", texts.all_backends)),
    "connection-idle-timeout": Reader(sets("idle_timeout_s", between(1, MOST_IDLE_S)), "classic"),
    "connection-draining-enabled": Reader(checked(truth), "classic"),
    "connection-draining-timeout": Reader(checked(between(1, MOST_DRAINING_S)), "classic"),
    "ssl-cert": Reader(sets("certificate", texts.certificate)),
    "ssl-ports": Reader(sets("ssl_ports", texts.ports)),
    "backend-protocol": Reader(sets("backend_protocol", one_of("tcp", "ssl", "http", "https"))),
    "target-node-labels": Reader(sets("target_node_labels", texts.labels)),
    "subnets": Reader(sets("subnets", texts.names)),
    "name": Reader(sets("name", texts.balancer_name), "controller"),
    "eip-allocations": Reader(sets("eip_allocations", texts.names), "controller"),
    "alpn-policy": Reader(checked(one_of("None")), "controller"),
    "healthcheck-healthy-threshold": Reader(sets("healthy_threshold", between(2, 10))),
    "healthcheck-unhealthy-threshold": Reader(sets("unhealthy_threshold", between(2, 10))),
    "healthcheck-timeout": Reader(sets("check_timeout_s", between(2, 60))),
    "healthcheck-interval": Reader(sets("check_interval_s", between(5, 300))),
    "healthcheck-protocol": Reader(sets("check_protocol", texts.check_protocol), "network"),
    "healthcheck-port": Reader(sets("check_port", texts.check_port), "network"),
    "healthcheck-path": Reader(sets("check_path", texts.check_path), "network"),
    "healthcheck-success-codes": Reader(sets("check_codes", texts.check_codes), "controller"),
    "enable-tcp-udp-listener": Reader(sets("tcp_udp_listener", truth), "controller"),
    "scheme": Reader(sets("is_internal", texts.scheme), "controller"),
    "nlb-target-type": Reader(sets("nlb_target_type", one_of("instance", "ip")), "network"),
    "ip-address-type": Reader(checked(one_of("ipv4")), "controller"),
    "private-ipv4-addresses": Reader(sets("private_addresses", texts.addresses), "network"),
    "attributes": Reader(texts.attributes(ATTRIBUTES), "controller"),
    "target-group-attributes": Reader(texts.attributes(TARGET_GROUP_ATTRIBUTES), "network"),
}
# Which load balancers of its kind have an annotation, and what is said of others
CONDITIONS: Mapping[str, tuple[Callable[[LoadBalancer], bool], str]] = {
    "private-ipv4-addresses": (
        lambda one: one.by_controller and one.internal,
        "only internal load balancers of AWS Load Balancer Controller have it",
    ),
    "eip-allocations": (
        lambda one: not one.internal,
        "only load balancers that face the internet have Elastic IP addresses",
    ),
    "proxy-protocol": (
        lambda one: one.type != "nlb",
        f"the cloud provider sets none for a Network Load Balancer; {PREFIX}"
        "target-group-attributes: proxy_protocol_v2.enabled=true does",
    ),
    "backend-protocol": (
        lambda one: not (one.is_network and one.reads_requests),
        "a Network Load Balancer speaks tcp or ssl with its targets",
    ),
    "nlb-target-type": (
        lambda one: one.type == "external",
        f'{PREFIX}type has to be "external" for it, not "{{type}}"',
    ),
}
# Which of two annotations about one thing wins: the higher (AWS Load Balancer Controller,
# buildLoadBalancerScheme; MergeStringMap of an attribute's own annotation and of the list)
RANKS = {"attributes": -1, "target-group-attributes": -1, "scheme": 1}
# What changes no packet: tags, the log that is written into a bucket, which ciphers there are
WITHOUT_EFFECT = (
    "additional-resource-tags",
    "access-log-emit-interval",
    "access-log-enabled",
    "access-log-s3-bucket-name",
    "access-log-s3-bucket-prefix",
    "ssl-negotiation-policy",
)


def is_ours(name: str) -> bool:
    """Whether an annotation is about AWS' load balancers, and followed here."""
    return name.removeprefix(PREFIX) in READERS and name.startswith(PREFIX)


def load_balancer(service: Service) -> LoadBalancer:
    """What a Service's class and annotations say, but for those that `mistakes` tells of."""
    found = LoadBalancer()
    short = {name.removeprefix(PREFIX): name for name in service.annotations if is_ours(name)}
    for name in sorted(short, key=lambda one: RANKS.get(one, 0)):
        with suppress(ValueError):
            found = replace(found, **READERS[name].read(service.annotations[short[name]]))
    if service.load_balancer_class == CONTROLLER_CLASS:
        return replace(found, type="external")
    return found


def misread(annotations: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The annotations that say nothing the testbed could do, each with what is wrong."""
    for name, text in annotations.items():
        try:
            _reader(name)(text)
        except ValueError as error:
            yield name, str(error)


def _reader(name: str) -> Callable[[str], object]:
    """What understands an annotation; notes for others may be any text.

    Raises ValueError: the testbed does not enforce it.
    """
    short = name.removeprefix(PREFIX)
    if name == SOURCE_RANGES:
        return ranges
    if not name.startswith(PREFIX) or short in WITHOUT_EFFECT:
        return str
    if short not in READERS:
        raise ValueError(f'the annotation "{name}" is not enforced by the testbed')
    return READERS[short].read


def mistakes(service: Service) -> Iterator[tuple[str, str]]:
    """The annotations of a Service that cannot be followed, each with what is wrong."""
    wrong = dict(misread(service.annotations))
    yield from wrong.items()
    wanted = load_balancer(service)
    for name in filter(is_ours, service.annotations):
        refusal = _misplaced(name.removeprefix(PREFIX), wanted)
        if refusal and name not in wrong:
            yield name, refusal


def _misplaced(short: str, wanted: LoadBalancer) -> str:
    """Why such a load balancer has not this annotation; empty where it has."""
    of = READERS[short].of
    if of in ("network", "controller") and not wanted.is_network:
        return f"only a Network Load Balancer has it ({PREFIX}type)"
    if of == "controller" and not wanted.by_controller:
        return f"only AWS Load Balancer Controller knows it ({PREFIX}type: external)"
    if of == "classic" and wanted.is_network:
        return "the testbed enforces it for Classic Load Balancers only"
    suits, refusal = CONDITIONS.get(short, (lambda _: True, ""))
    return "" if suits(wanted) else refusal.format(type=wanted.type)
