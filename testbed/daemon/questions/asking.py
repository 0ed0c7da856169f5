"""What a question is about: names, addresses, Services and load balancers become a packet."""

from dataclasses import replace

from testbed.daemon.names import address_of, addresses
from testbed.daemon.running import RunningLab
from testbed.errors import UsageError
from testbed.explain.journey import Header
from testbed.explain.reachability import question
from testbed.kubernetes.model import Service
from testbed.lab import Cluster, hostname, load_balancers
from testbed.net.facts import IpAddress
from testbed.net.served import metadata
from testbed.plan import served
from testbed.vpc.naming import INTERNET

HTTP = 80  # the port that is asked for where nobody says which


def named(running: RunningLab, place: str) -> str:
    """The name of a place; an address is the name of who has it."""
    known = running.derived(addresses)
    return next((name for name, address in known.items() if address == place), place)


def asked(
    running: RunningLab,
    source: str,
    destination: str,
    protocol: str | None,
    port: int,
    size: int = 0,
) -> Header:
    """What is sent; unless it is told, an echo request, or to a Service what its first port takes.

    To the instance metadata service it is what opens a connection.

    Raises UsageError: one of the two has no address, or none that the other can use.
    """
    own = address_of(running, source)
    found = _service(running, source, destination)
    if destination == str(metadata.ADDRESS) and not protocol:
        protocol, port = "tcp", port or metadata.PORT
    if found is None:
        protocol = protocol or ("tcp" if port else "icmp")
        port = port or _served_port(running, destination, protocol)
        return question(protocol, own, called(running, source, destination), port, size)
    _, service = found
    inside = service.qualified == destination and source != INTERNET
    address = _inside(running, *found) if inside else _outside(running, *found, source)
    first = service.ports[0]
    protocol = protocol or first.protocol.lower()
    return question(protocol, own, address, port or first.port, size)


def from_port(header: Header, port: int) -> Header:
    """The same, sent from a port that a connection may have had before.  Raises UsageError."""
    if header.protocol != "udp":
        raise UsageError(
            f"--source-port is for UDP, whose clients may keep a connection for ever; this is"
            f" {header.protocol}: add --protocol udp"
        )
    return replace(header, source_port=port)


def _service(running: RunningLab, source: str, name: str) -> tuple[Cluster, Service] | None:
    """The Service of a name, or of its load balancer's DNS name; of several the caller's own."""
    lab = running.described()
    clusters = sorted(lab.clusters, key=lambda cluster: not _is_part(cluster, source))
    for cluster in clusters:
        for service in cluster.services:
            if service.qualified == name or hostname(lab, cluster, service) == name:
                return cluster, service
    return None


def _is_part(cluster: Cluster, place: str) -> bool:
    pods, nodes = (pod.netns for pod in cluster.pods), (node.name for node in cluster.nodes)
    return place in (*pods, *nodes)


def _inside(running: RunningLab, cluster: Cluster, service: Service) -> IpAddress:
    services = running.allocations.services
    given = {one.service: one.cluster_ip for one in services if one.cluster == cluster.name}
    address = given[service.qualified]
    if address is None:
        name = service.qualified
        raise UsageError(f"Service '{name}' has no address of its own: ask for an endpoint")
    return address


def _outside(running: RunningLab, cluster: Cluster, service: Service, source: str) -> IpAddress:
    """Of its load balancer, as its name tells: that of a zone with a healthy target.

    A packet's way ends at a Classic one, which opens a connection of its own.
    """
    balancers = {
        one.netns: one.netns in running.health.left_out
        for of, one in load_balancers(running.described())
        if (of.name, one.service) == (cluster.name, service)
    }
    enis = [eni for eni in running.allocations.enis if eni.instance in balancers]
    for eni in sorted(enis, key=lambda eni: balancers[eni.instance]):
        if eni.public_ip or source != INTERNET:
            return eni.public_ip or eni.primary
    raise UsageError(
        f"nobody outside has a way to Service '{service.qualified}': it has no load balancer that"
        " faces the internet; a node's port may be open (`explain internet NODE:PORT`)"
    )


def called(running: RunningLab, source: str, destination: str) -> IpAddress:
    """The address of a name; from the outside the public one, where there is one."""
    if source == INTERNET:
        for eni in running.allocations.enis:
            if (eni.instance, eni.device_index) == (destination, 0) and eni.public_ip:
                return eni.public_ip
    return address_of(running, destination)


def _served_port(running: RunningLab, destination: str, protocol: str) -> int:
    """The first port of this protocol that is served there."""
    if protocol == "icmp":
        return 0
    ports = [
        listener.port
        for listener in served(running.described(), running.allocations)
        if destination in (listener.pod, listener.netns)
        and (listener.protocol == "udp") == (protocol == "udp")
    ]
    return ports[0] if ports else HTTP
