"""Who answers where: the ports a lab serves, and the places probes go between."""

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal, Protocol

from testbed.net.facts import IpAddress
from testbed.net.metadata import InstanceMetadata

Served = Literal["tcp", "udp", "http", "imds"]
Probed = Literal["icmp", "tcp", "http"]

EVERY_ADDRESS = IPv4Address("0.0.0.0")


@dataclass(frozen=True, slots=True)
class Page:
    """What an HTTP server answers to every request: `200 OK`, its header fields, its content."""

    status: str
    content: str
    fields: tuple[tuple[str, str], ...] = ()


class Site(Protocol):
    """Several pages, made when they are asked for."""

    def page(self, path: str) -> Page:
        """The answer to a GET of this path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A port served inside a network namespace, and the names its answers carry.

    address: what the socket is bound to; its version is the socket's family.
    page, site: what it says in the place of those names.  metadata: what `imds` tells each
    instance.
    """

    netns: str
    port: int
    protocol: Served
    pod: str
    node: str
    container: str = ""
    address: IpAddress = EVERY_ADDRESS
    page: Page | None = None
    site: Site | None = None
    metadata: tuple[InstanceMetadata, ...] = ()

    def __str__(self) -> str:
        return f"{self.address}:{self.port}/{self.protocol} of {self.pod}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A row and a column of a matrix.  A port of 0: nothing is served by that protocol.

    control_netns: the namespace whose probe must get an answer from here before a silence of this
    endpoint is believed.  control_address: what must answer this endpoint before its own silence
    is believed.  Both are the node's for a pod.
    """

    name: str
    netns: str
    address: IpAddress
    tcp_port: int = 0
    http_port: int = 0
    control_netns: str = ""
    control_address: IpAddress | None = None

    def port(self, protocol: Probed) -> int | None:
        """The port a probe of this protocol goes to; 0 for ICMP, none when nobody serves one."""
        if protocol == "icmp":
            return 0
        return (self.tcp_port if protocol == "tcp" else self.http_port) or None
