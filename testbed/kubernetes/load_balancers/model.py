"""A load balancer as its Service wants it.

Source: kubernetes v1.14, pkg/cloudprovider/providers/aws: aws.go (EnsureLoadBalancer,
buildListener), aws_loadbalancer.go; AWS Load Balancer Controller, "Network Load Balancer".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Literal, NamedTuple

from testbed.kubernetes.model import ServicePort

IDLE_S = 60  # a connection silent so long is closed: Classic Load Balancers, "Idle timeout"
ALL = "*"

Type = Literal["classic", "nlb", "nlb-ip", "external"]
TargetType = Literal["instance", "ip"]
CheckProtocol = Literal["tcp", "http"]
BackendProtocol = Literal["", "tcp", "ssl", "http", "https"]
ListenerProtocol = Literal["TCP", "UDP", "SSL", "TLS", "HTTP", "HTTPS"]


class Listener(NamedTuple):
    """What is spoken with clients and with targets, in AWS' words."""

    protocol: ListenerProtocol
    targets: ListenerProtocol

    @property
    def decrypts(self) -> bool:
        """Whether clients need TLS."""
        return self.protocol in ("SSL", "TLS", "HTTPS")

    @property
    def encrypts(self) -> bool:
        """Whether targets need TLS."""
        return self.targets in ("SSL", "TLS", "HTTPS")

    @property
    def reads_http(self) -> bool:
        """Whether it passes requests on, not connections."""
        return self.protocol in ("HTTP", "HTTPS")


# Of a Classic one with a certificate, by the annotation about its targets (backendProtocolMapping)
WITH_CERTIFICATE: Mapping[BackendProtocol, Listener] = {
    "": Listener("SSL", "TCP"),
    "tcp": Listener("SSL", "TCP"),
    "ssl": Listener("SSL", "SSL"),
    "http": Listener("HTTPS", "HTTP"),
    "https": Listener("HTTPS", "HTTPS"),
}


@dataclass(frozen=True, kw_only=True)
class LoadBalancer:
    """A load balancer's attributes; of its health check what annotations change.

    type: `classic`, or who makes a Network Load Balancer: the cloud provider (`nlb`), or AWS' own
    controller.  cross_zone: every zone's balancer takes all targets.  proxy_protocol: a header
    before each connection's data says who called (PROXY, version 1; 2 of a network one).
    preserve_client_ip: none for what the targets' type makes of it.  sticky: a client's flows go
    to one target.  tcp_udp_listener: one port may have both protocols.  ends_unhealthy:
    connections to a target end with its health.  check_port: 0 for the targets' own, none if
    nothing is said.  private_addresses: one in each of its subnets; none lets AWS choose.
    certificate: of the ports in `ssl_ports`, which are numbers and names.  subnets: by name or id,
    one in a zone; none lets Kubernetes choose.  name: none for a hash's.  eip_allocations: of
    Elastic IP addresses, one for each subnet.  target_node_labels: what nodes have to have to be
    targets.
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
    sticky: bool = False
    ends_unhealthy: bool = True
    tcp_udp_listener: bool = False
    check_protocol: CheckProtocol | None = None
    check_port: int | None = None
    check_path: str = ""
    check_codes: str = "200-399"
    private_addresses: tuple[IPv4Address, ...] = ()
    certificate: str = ""
    ssl_ports: tuple[str, ...] = (ALL,)
    backend_protocol: BackendProtocol = ""
    subnets: tuple[str, ...] = ()
    name: str = ""
    eip_allocations: tuple[str, ...] = ()
    target_node_labels: Mapping[str, str] = field(default_factory=dict)

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

    @property
    def reads_requests(self) -> bool:
        """Whether its targets are spoken to by HTTP."""
        return self.backend_protocol in ("http", "https")

    def checked_port(self, asked: int, own: int) -> int:
        """Which port a health check asks.

        asked: the Service's healthCheckNodePort, 0 for none.  own: the target's.
        """
        return (asked if self.check_port is None else self.check_port) or own

    def preserves(self, protocol: str) -> bool:
        """Whether targets see who called.

        Elastic Load Balancing, "Client IP preservation": by default, unless the targets of TCP are
        addresses; of UDP always.
        """
        if not self.is_network or protocol == "UDP":
            return self.is_network
        by_default = self.target_type == "instance"
        return by_default if self.preserve_client_ip is None else self.preserve_client_ip

    def listener(self, port: ServicePort) -> Listener:
        """What it speaks on a Service's port."""
        secured = self.certificate and port.protocol == "TCP" and self._is_ssl_port(port)
        if self.is_network:
            if not secured:
                return Listener(port.protocol, port.protocol)
            return Listener("TLS", "TLS" if self.backend_protocol == "ssl" else "TCP")
        if secured:
            return WITH_CERTIFICATE[self.backend_protocol]
        plain: ListenerProtocol = "HTTP" if self.backend_protocol == "http" else "TCP"
        return Listener(plain, plain)

    def _is_ssl_port(self, port: ServicePort) -> bool:
        """By its number or its name; all are, where none is named (getPortSets)."""
        return bool({ALL, str(port.port), port.name.lower()} & {*self.ssl_ports})
