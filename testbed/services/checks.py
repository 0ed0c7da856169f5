"""What Kubernetes would refuse of a cluster's Services; paths start at the cluster.

Words: kubernetes v1.14, pkg/apis/core/validation and pkg/registry/core/service.
"""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network

from testbed.description import duplicates
from testbed.description.problem import Problem, Problems, names, quoted
from testbed.kubernetes.model import FIRST_NODE_PORT, LAST_NODE_PORT, Service
from testbed.services.allocate import API, NODE_PORTS, assignable

# kube-apiserver --service-cluster-ip-range: at most 20 bits, and the tenth address is for DNS
LARGEST, SMALLEST = 12, 28


def problems(
    services: tuple[Service, ...], cidr: IPv4Network, others: Mapping[str, Iterable[IPv4Network]]
) -> Problems:
    """Everything wrong with the Services of a cluster and the range of their ClusterIPs.

    others: ranges that may not overlap it, by the words for who has them.
    """
    yield from _range(cidr, others)
    for twice in duplicates(service.qualified for service in services):
        yield Problem(("services", twice), f"there are two Services {quoted(twice)}")
    for service in services:
        for problem in (*_name(service), *_ports(service)):
            yield problem.under("services", service.name)
    if LARGEST <= cidr.prefixlen <= SMALLEST:
        yield from _cluster_ips(services, cidr)
    yield from _node_ports(services)


def _range(cidr: IPv4Network, others: Mapping[str, Iterable[IPv4Network]]) -> Problems:
    if not LARGEST <= cidr.prefixlen <= SMALLEST:
        message = f"a range for Services is a /{LARGEST} to a /{SMALLEST}; {cidr} is not"
        yield Problem(("serviceCidr",), message)
    for owner, ranges in others.items():
        for other in ranges:
            if cidr.overlaps(other):
                message = f"the range for Services, {cidr}, overlaps {other} of {owner}"
                yield Problem(("serviceCidr",), message)


def _name(service: Service) -> Problems:
    yield from names((), service.name)
    if service.name[:1].isdigit():
        message = f"{quoted(service.name)} cannot be a Service's name; a letter comes first"
        yield Problem((), message)  # RFC 1035, section 2.3.1
    yield from names(("namespace",), service.namespace)


def _ports(service: Service) -> Problems:
    if not service.ports:
        yield Problem(("ports",), "a Service has at least one port")
    for i, port in enumerate(service.ports):
        before = service.ports[:i]
        if port.name:
            yield from names(("ports", i, "name"), port.name)
        elif len(service.ports) > 1:
            yield Problem(("ports", i, "name"), "each of several ports needs a name")
        if port.name and port.name in [other.name for other in before]:
            message = f"there is a port named {quoted(port.name)} already"
            yield Problem(("ports", i, "name"), message)
        if (port.port, port.protocol) in [(other.port, other.protocol) for other in before]:
            message = f"the Service has {port.protocol} port {port.port} already"
            yield Problem(("ports", i), message)


def _cluster_ips(services: tuple[Service, ...], cidr: IPv4Network) -> Problems:
    taken = {int(cidr[API]): "kubernetes, the API server,"}
    for service in services:
        if service.cluster_ip is None:
            continue
        path = ("services", service.name, "clusterIp")
        number = int(service.cluster_ip)
        if number in taken:
            message = f"provided IP is already allocated: Service {taken[number]} has it"
            yield Problem(path, message)
        elif number not in assignable(cidr):
            valid = f"The range of valid IPs is {cidr}"
            yield Problem(path, f"provided IP is not in the valid range. {valid}")
        taken.setdefault(number, quoted(service.qualified))


def _node_ports(services: tuple[Service, ...]) -> Problems:
    """One number of one Service may stand for TCP and UDP."""
    taken: dict[int, tuple[str, set[str]]] = {}
    for service in services:
        for i, port in enumerate(service.ports):
            path = ("services", service.name, "ports", i, "nodePort")
            if port.node_port is None:
                continue
            owner, protocols = taken.setdefault(port.node_port, (service.qualified, set()))
            if service.type == "ClusterIP":
                yield Problem(path, "may not be used when `type` is 'ClusterIP'")
            elif port.node_port not in NODE_PORTS:
                valid = f"The range of valid ports is {FIRST_NODE_PORT}-{LAST_NODE_PORT}"
                yield Problem(path, f"provided port is not in the valid range. {valid}")
            elif owner != service.qualified or port.protocol in protocols:
                message = f"provided port is already allocated: Service {quoted(owner)} has it"
                yield Problem(path, message)
            protocols.add(port.protocol)
