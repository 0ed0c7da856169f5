"""The target groups of a Network Load Balancer: for each of its ports, who may take a flow."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import NamedTuple

from testbed.kubernetes.load_balancers.annotations import load_balancer
from testbed.kubernetes.load_balancers.model import Listener
from testbed.kubernetes.model import ServicePort
from testbed.kubernetes.placement import ServiceAddress
from testbed.services.endpoints import Behind
from testbed.services.load_balancers import Balancer
from testbed.vpc.model import Vpc


class Target(NamedTuple):
    """A node or a pod with the address and port that a flow is sent to."""

    name: str
    ip: IPv4Address
    port: int


PLAIN = Listener("TCP", "TCP")


@dataclass(frozen=True)
class TargetGroup:
    """A listener's targets in one zone.  port: the listener's, of `protocol` (tcp, udp).

    spoken: what with clients and with targets.  tells_client: by the PROXY protocol, version 2.
    preserved: targets see the client's address.  sticky: a client stays with its target.
    ends_unhealthy: its connections end when it becomes unhealthy.
    """

    protocol: str
    port: int
    targets: tuple[Target, ...]
    spoken: Listener = PLAIN
    tells_client: bool = False
    preserved: bool = True
    sticky: bool = False
    ends_unhealthy: bool = True

    @property
    def is_relayed(self) -> bool:
        """Whether connections end at the load balancer, which opens others."""
        return self.spoken.decrypts or self.tells_client

    @property
    def listener(self) -> str:
        """What chains and haproxy call it: `tcp-80`."""
        return f"{self.protocol}-{self.port}"


def target_groups(
    balancer: Balancer,
    vpc: Vpc,
    nodes: Mapping[str, IPv4Address],
    given: ServiceAddress,
    behind: Behind,
) -> tuple[TargetGroup, ...]:
    """One for each port of the Service.

    nodes: their primary addresses, which AWS sends to (Elastic Load Balancing, "Target type").
    given: the Service's node ports.  behind: what its pods are.
    """
    wanted = load_balancer(balancer.service)
    ports = balancer.service.ports
    if wanted.target_type == "ip":
        found = [tuple(_pods(balancer, vpc, behind, port)) for port in ports]
    else:
        found = [
            tuple(Target(node, nodes[node], number) for node in balancer.nodes)
            for number in given.node_ports
        ]
    return tuple(
        TargetGroup(
            port.protocol.lower(),
            port.port,
            targets,
            wanted.listener(port),
            tells_client=wanted.proxy_protocol and port.protocol == "TCP",
            preserved=wanted.preserves(port.protocol),
            sticky=wanted.sticky,
            ends_unhealthy=wanted.ends_unhealthy,
        )
        for port, targets in zip(ports, found, strict=True)
    )


def _pods(balancer: Balancer, vpc: Vpc, behind: Behind, port: ServicePort) -> Iterator[Target]:
    """The ready endpoints of a port in the balancer's zone, or in all with cross-zone balancing.

    Addresses that somebody wrote are no targets unless they are said to be a pod's (AWS Load
    Balancer Controller, pkg/backend/endpoint_resolver.go: TargetRef).  One outside the VPC's
    subnets is in every zone (Elastic Load Balancing, "Register targets", Availability Zone `all`).
    """
    everywhere = load_balancer(balancer.service).cross_zone
    for one in behind.backends(balancer.service, port):
        zones = [subnet.availability_zone for subnet in vpc.subnets if one.ip in subnet.cidr]
        near = everywhere or not zones or balancer.zone in zones
        if one.ready and near and behind.is_pod(balancer.service, one):
            # what somebody wrote down is known by its address: several may name one pod
            yield Target(one.pod if balancer.service.selector else str(one.ip), one.ip, one.port)
