"""The ports of bare instances and of the internet's hosts; instances as ends of probes."""

from collections.abc import Iterable, Iterator

from testbed.description.ports import Ports, Protocol
from testbed.net.served.endpoints import Endpoint, Listener
from testbed.vpc.eni import Eni
from testbed.vpc.model import Instance, Internet

INTERNET = "internet"  # the namespace all these hosts are addresses of
HTTP = 80


def internet_listeners(internet: Internet) -> tuple[Listener, ...]:
    """An HTTP server on each host's address, which is also the name its answers carry."""
    return tuple(
        Listener(
            netns=INTERNET, port=HTTP, protocol="http", pod=str(host), node=INTERNET, address=host
        )
        for host in internet.hosts
    )


def listeners(name: str, ports: Ports) -> Iterator[Listener]:
    """Every port of an instance, or of another host that is known by its name."""
    for port in ports:
        yield Listener(netns=name, port=port.number, protocol=port.protocol, pod=name, node=name)


def instance_endpoints(instances: Iterable[Instance], enis: Iterable[Eni]) -> Iterator[Endpoint]:
    """Every instance with its first ports."""
    primary = {eni.instance: eni.primary for eni in enis if eni.device_index == 0}
    for one in instances:
        yield Endpoint(
            name=one.name,
            netns=one.name,
            address=primary[one.name],
            tcp_port=first_port(one.ports, "tcp") or first_port(one.ports, "http"),
            http_port=first_port(one.ports, "http"),
        )


def first_port(ports: Ports, protocol: Protocol) -> int:
    """The first of the ports that serves a protocol; 0 for none."""
    return next((port.number for port in ports if port.protocol == protocol), 0)
