"""Who answers where: the ports a lab serves, and the places probes go between."""

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal, Protocol

from testbed.net.facts import IpAddress
from testbed.net.served.metadata import InstanceMetadata

Served = Literal["tcp", "udp", "http", "imds"]
Transport = Literal["tcp", "udp"]
Probed = Literal["icmp", "tcp", "http"]

EVERY_ADDRESS = IPv4Address("0.0.0.0")
NOW = "{now}"  # in a page's content: when it is asked for, as programs in Go print it


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


# what Go's HTTP library says of any other path
_TEXT = (("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff"))
NOT_FOUND = Page("404 Not Found", "404 page not found\n", _TEXT)


@dataclass(frozen=True, slots=True)
class Pages:
    """A site whose pages are known beforehand, by path; what is not there is not found."""

    by_path: tuple[tuple[str, Page], ...]

    def page(self, path: str) -> Page:
        """The answer to a GET of this path."""
        return dict(self.by_path).get(path, NOT_FOUND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A port served inside a network namespace, and the names its answers carry.

    address: what the socket is bound to; its version is the socket's family.
    page, site: what it says in the place of those names.  metadata: what `imds` tells each
    instance.  held: nobody takes what comes; it keeps the port from others.
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
    held: bool = False

    @property
    def transport(self) -> Transport:
        """What carries what is served there."""
        return "udp" if self.protocol == "udp" else "tcp"

    def __str__(self) -> str:
        return f"{self.address}:{self.port}/{self.protocol} of {self.pod}"


def held(
    node: str, transport: Transport, number: int, address: IpAddress = EVERY_ADDRESS
) -> Listener:
    """A port of a node that somebody there holds, and does not serve."""
    return Listener(
        netns=node,
        port=number,
        protocol=transport,
        pod="",
        node=node,
        address=address,
        held=True,
    )


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
