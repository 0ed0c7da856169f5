"""How a Service wants its load balancer: the annotations of Kubernetes' AWS cloud provider.

Source: kubernetes v1.14, pkg/cloudprovider/providers/aws: aws.go (ServiceAnnotation…,
EnsureLoadBalancer), aws_loadbalancer.go.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

PREFIX = "service.beta.kubernetes.io/aws-load-balancer-"
IDLE_S = 60  # a connection silent so long is closed: Classic Load Balancers, "Idle timeout"
MOST_IDLE_S = 4000  # ConnectionSettings of AWS' API
# strconv.ParseBool
TRUTHS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
ALL_BACKENDS = "*"


@dataclass(frozen=True, kw_only=True)
class LoadBalancer:
    """A Classic Load Balancer's attributes; of its health check what annotations change.

    internal: private addresses only.  cross_zone: every zone's balancer takes all nodes.
    proxy_protocol: a line before each connection's data says who called (PROXY, version 1).
    """

    internal: bool = False
    cross_zone: bool = False
    proxy_protocol: bool = False
    idle_timeout_s: int = IDLE_S
    healthy_threshold: int | None = None
    unhealthy_threshold: int | None = None
    check_timeout_s: int | None = None
    check_interval_s: int | None = None


def _internal(text: str) -> bool:
    """Any text but "false": older manifests have "0.0.0.0/0" there."""
    return text not in ("", "false")


def _truth(text: str) -> bool:
    if text not in TRUTHS:
        raise ValueError(f'expected "true" or "false", found "{text}"')
    return TRUTHS[text]


def _proxy_protocol(text: str) -> bool:
    if text != ALL_BACKENDS:
        raise ValueError(f'the only value supported currently is "*", found "{text}"')
    return True


def _between(first: int, last: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not first <= int(text) <= last:
            raise ValueError(f'expected a number from {first} to {last}, found "{text}"')
        return int(text)

    return number


# By the annotation behind the prefix: the attribute, and what reads it.  Ranges are AWS' own.
READERS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "internal": ("internal", _internal),
    "cross-zone-load-balancing-enabled": ("cross_zone", _truth),
    "proxy-protocol": ("proxy_protocol", _proxy_protocol),
    "connection-idle-timeout": ("idle_timeout_s", _between(1, MOST_IDLE_S)),
    "healthcheck-healthy-threshold": ("healthy_threshold", _between(2, 10)),
    "healthcheck-unhealthy-threshold": ("unhealthy_threshold", _between(2, 10)),
    "healthcheck-timeout": ("check_timeout_s", _between(2, 60)),
    "healthcheck-interval": ("check_interval_s", _between(5, 300)),
}
# What changes no packet: tags, and the log that is written into a bucket
WITHOUT_EFFECT = (
    "additional-resource-tags",
    "access-log-emit-interval",
    "access-log-enabled",
    "access-log-s3-bucket-name",
    "access-log-s3-bucket-prefix",
)


def is_ours(name: str) -> bool:
    """Whether an annotation is about AWS' load balancers, and followed here."""
    return name.removeprefix(PREFIX) in READERS and name.startswith(PREFIX)


def load_balancer(annotations: Mapping[str, str]) -> LoadBalancer:
    """What the annotations say, but for those that `mistakes` tells of."""
    found = LoadBalancer()
    for name, text in annotations.items():
        if is_ours(name):
            attribute, read = READERS[name.removeprefix(PREFIX)]
            with suppress(ValueError):
                found = replace(found, **{attribute: read(text)})
    return found


def mistakes(annotations: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The annotations that cannot be followed, each with what is wrong."""
    for name, text in annotations.items():
        short = name.removeprefix(PREFIX)
        if not name.startswith(PREFIX) or short in WITHOUT_EFFECT:
            continue
        if short not in READERS:
            yield name, f'the annotation "{name}" is not enforced by the testbed'
            continue
        try:
            READERS[short][1](text)
        except ValueError as error:
            yield name, str(error)
