"""Hosts of on-premises sites: the ports they serve, and they themselves as ends of probes."""

from collections.abc import Iterable, Iterator

from testbed.description.ports import ECHO_PORTS
from testbed.net.served.endpoints import Endpoint, Listener
from testbed.networks.model import Site
from testbed.vpc.endpoints import first_port, listeners


def host_listeners(sites: Iterable[Site]) -> Iterator[Listener]:
    """Every port of every host."""
    for site in sites:
        for host in site.hosts:
            yield from listeners(host.name, ECHO_PORTS)


def host_endpoints(sites: Iterable[Site]) -> Iterator[Endpoint]:
    """Every host, with its customer gateway as control."""
    for site in sites:
        for host in site.hosts:
            yield Endpoint(
                name=host.name,
                netns=host.name,
                address=host.address,
                tcp_port=first_port(ECHO_PORTS, "tcp"),
                http_port=first_port(ECHO_PORTS, "http"),
                control_netns=site.name,
            )
