"""How a Service wants its load balancer: the annotations of Kubernetes' AWS cloud provider.

Source: kubernetes v1.14, pkg/cloudprovider/providers/aws: aws.go (ServiceAnnotation…,
EnsureLoadBalancer), aws_loadbalancer.go; for the types `external` and `nlb-ip` AWS Load Balancer
Controller, "Network Load Balancer" and "Annotations".
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Any, Literal, NamedTuple

from testbed.description.ports import MOST_PORT

PREFIX = "service.beta.kubernetes.io/aws-load-balancer-"
IDLE_S = 60  # a connection silent so long is closed: Classic Load Balancers, "Idle timeout"
MOST_IDLE_S = 4000  # ConnectionSettings of AWS' API

# strconv.ParseBool
TRUTHS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
ALL_BACKENDS = "*"

_PATH = re.compile(r"/[A-Za-z0-9._~%/?=&:@+-]{0,1023}")

Type = Literal["classic", "nlb", "nlb-ip", "external"]
TargetType = Literal["instance", "ip"]
CheckProtocol = Literal["tcp", "http"]


@dataclass(frozen=True, kw_only=True)
class LoadBalancer:
    """A load balancer's attributes; of its health check what annotations change.

    type: `classic`, or who makes a Network Load Balancer: the cloud provider (`nlb`), or AWS' own
    controller.  cross_zone: every zone's balancer takes all targets.  proxy_protocol: a line
    before each connection's data says who called (PROXY, version 1).  preserve_client_ip: none for
    what the targets' type makes of it.  check_port: none for the targets' own.
    private_addresses: one in each of its subnets; none lets AWS choose.
    """

    type: Type = "classic"
    is_internal: bool | None = None
    cross_zone: bool = False
    proxy_protocol: bool = False
    idle_timeout_s: int = IDLE_S
    healthy_threshold: int | None = None
    unhealthy_threshold: int | None = None
    check_timeout_s: int | None = None
    check_interval_s: int | None = None
    nlb_target_type: TargetType | None = None
    preserve_client_ip: bool | None = None
    check_protocol: CheckProtocol | None = None
    check_port: int | None = None
    check_path: str = ""
    private_addresses: tuple[IPv4Address, ...] = ()

    @property
    def is_network(self) -> bool:
        """Whether it is a Network Load Balancer."""
        return self.type != "classic"

    @property
    def by_controller(self) -> bool:
        """Whether AWS Load Balancer Controller makes it, not Kubernetes' own cloud provider."""
        return self.type in ("nlb-ip", "external")

    @property
    def internal(self) -> bool:
        """Whether it has private addresses only; the controller's have, unless told otherwise."""
        return self.by_controller if self.is_internal is None else self.is_internal

    @property
    def target_type(self) -> TargetType:
        """Whether its targets are nodes or pods."""
        return self.nlb_target_type or ("ip" if self.type == "nlb-ip" else "instance")

    def preserves(self, protocol: str) -> bool:
        """Whether targets see who called.

        Elastic Load Balancing, "Client IP preservation": by default, unless the targets of TCP are
        addresses; of UDP always.
        """
        if not self.is_network or protocol == "UDP":
            return self.is_network
        by_default = self.target_type == "instance"
        return by_default if self.preserve_client_ip is None else self.preserve_client_ip


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


def _one_of(*known: str) -> Callable[[str], str]:
    def word(text: str) -> str:
        if text not in known:
            choices = " or ".join(f'"{one}"' for one in known)
            raise ValueError(f'expected {choices}, found "{text}"')
        return text

    return word


def _scheme(text: str) -> bool:
    return _one_of("internal", "internet-facing")(text) == "internal"


def _check_protocol(text: str) -> str:
    return _one_of("tcp", "http")(text.lower())


def _check_port(text: str) -> int | None:
    """A number, or the words for the port that each target has."""
    return None if text == "traffic-port" else _between(1, MOST_PORT)(text)


def _check_path(text: str) -> str:
    if not _PATH.fullmatch(text):  # it becomes a word of haproxy's configuration
        raise ValueError(f'expected a path such as "/healthz", found "{text}"')
    return text


def _addresses(text: str) -> tuple[IPv4Address, ...]:
    try:
        return tuple(IPv4Address(part.strip()) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f'expected addresses such as "10.0.1.9, 10.0.2.9": {error}') from error


def _attribute(known: str) -> Callable[[str], bool]:
    """The value of the one attribute that is followed, in a list as `a.b=true,c=1`."""

    def truth(text: str) -> bool:
        found = [part.strip().partition("=") for part in text.split(",")]
        for name, _, _ in found:
            if name != known:
                raise ValueError(
                    f'the attribute "{name}" is not enforced by the testbed; {known} is'
                )
        return _truth(found[-1][2])

    return truth


class Reader(NamedTuple):
    """What an annotation sets, how it is read, and which kind of load balancer has it."""

    attribute: str
    read: Callable[[str], Any]
    of: Literal["any", "classic", "network"] = "any"


# By the annotation behind the prefix.  Ranges are AWS' own.
READERS: Mapping[str, Reader] = {
    "type": Reader("type", _one_of("nlb", "nlb-ip", "external")),
    "internal": Reader("is_internal", _internal),
    "cross-zone-load-balancing-enabled": Reader("cross_zone", _truth),
    "proxy-protocol": Reader("proxy_protocol", _proxy_protocol, "classic"),
    "connection-idle-timeout": Reader("idle_timeout_s", _between(1, MOST_IDLE_S), "classic"),
    "healthcheck-healthy-threshold": Reader("healthy_threshold", _between(2, 10)),
    "healthcheck-unhealthy-threshold": Reader("unhealthy_threshold", _between(2, 10)),
    "healthcheck-timeout": Reader("check_timeout_s", _between(2, 60)),
    "healthcheck-interval": Reader("check_interval_s", _between(5, 300)),
    "healthcheck-protocol": Reader("check_protocol", _check_protocol, "network"),
    "healthcheck-port": Reader("check_port", _check_port, "network"),
    "healthcheck-path": Reader("check_path", _check_path, "network"),
    "scheme": Reader("is_internal", _scheme, "network"),
    "nlb-target-type": Reader("nlb_target_type", _one_of("instance", "ip"), "network"),
    "private-ipv4-addresses": Reader("private_addresses", _addresses, "network"),
    "attributes": Reader("cross_zone", _attribute("load_balancing.cross_zone.enabled"), "network"),
    "target-group-attributes": Reader(
        "preserve_client_ip", _attribute("preserve_client_ip.enabled"), "network"
    ),
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
            attribute, read, _ = READERS[name.removeprefix(PREFIX)]
            with suppress(ValueError):
                found = replace(found, **{attribute: read(text)})
    return found


def mistakes(annotations: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The annotations that cannot be followed, each with what is wrong."""
    wanted = load_balancer(annotations)
    for name, text in annotations.items():
        short = name.removeprefix(PREFIX)
        if not name.startswith(PREFIX) or short in WITHOUT_EFFECT:
            continue
        if short not in READERS:
            yield name, f'the annotation "{name}" is not enforced by the testbed'
            continue
        try:
            READERS[short].read(text)
        except ValueError as error:
            yield name, str(error)
            continue
        if refusal := _misplaced(short, wanted):
            yield name, refusal


def _misplaced(short: str, wanted: LoadBalancer) -> str:
    """Why such a load balancer has not this annotation; empty where it has."""
    of = READERS[short].of
    if of == "network" and not wanted.is_network:
        return f"only a Network Load Balancer has it ({PREFIX}type)"
    if of == "classic" and wanted.is_network:
        return "the testbed enforces it for Classic Load Balancers only"
    if short == "private-ipv4-addresses" and not (wanted.by_controller and wanted.internal):
        return "only internal load balancers of AWS Load Balancer Controller have it"
    if short == "nlb-target-type" and wanted.type != "external":
        return f'{PREFIX}type has to be "external" for it, not "{wanted.type}"'
    return ""
