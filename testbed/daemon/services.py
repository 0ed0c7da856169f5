"""Services as `get` and `describe` show them: addresses, endpoints, and chains.  Pure."""

from collections.abc import Iterable, Iterator
from typing import Any

from testbed.allocations import Allocations
from testbed.description.problem import unknown
from testbed.errors import UsageError
from testbed.kubernetes.model import Service, ServicePort
from testbed.kubernetes.placement import ServiceAddress
from testbed.lab import Cluster, Lab, hostname
from testbed.net.facts import Chain, State
from testbed.services.endpoints import Backend, backends
from testbed.services.port_rules import (
    EXTERNAL_SERVICES,
    NODE_PORTS,
    SERVICES,
    Line,
    port_rules,
)
from testbed.services.proxied import proxied_ports

Row = dict[str, Any]

SHARED = (SERVICES, NODE_PORTS, EXTERNAL_SERVICES)  # chains with rules of all Services


def service_rows(lab: Lab, allocations: Allocations) -> Iterator[Row]:
    """Every Service with its addresses."""
    for cluster in lab.clusters:
        given = {one.service: one for one in allocations.services if one.cluster == cluster.name}
        for service in cluster.services:
            address = given[service.qualified]
            yield {
                "name": service.qualified,
                "type": service.type,
                "clusterIp": str(address.cluster_ip),
                "externalIp": hostname(lab, cluster, service),
                "ports": [port["text"] for port in _ports(service, address)],
                "selector": ",".join(f"{key}={is_}" for key, is_ in service.selector.items()),
                "cluster": cluster.name,
            }


def _ports(service: Service, address: ServiceAddress) -> Iterator[Row]:
    """Each port as kubectl prints it, `80:31787/TCP`, and its parts."""
    for i, port in enumerate(service.ports):
        node_port = address.node_ports[i] if address.node_ports else None
        yield {
            "text": f"{port.port}{f':{node_port}' if node_port else ''}/{port.protocol}",
            "name": port.name,
            "port": port.port,
            "protocol": port.protocol,
            "targetPort": port.target,
            "nodePort": node_port,
        }


def endpoint_rows(lab: Lab, allocations: Allocations) -> Iterator[Row]:
    """Every Service with the addresses and ports behind it."""
    for cluster in lab.clusters:
        for service in cluster.services:
            behind = [
                str(backend)
                for port in service.ports
                for backend in _backends(cluster, service, port, allocations)
            ]
            yield {"name": service.qualified, "endpoints": behind, "cluster": cluster.name}


def _backends(
    cluster: Cluster, service: Service, port: ServicePort, allocations: Allocations
) -> tuple[Backend, ...]:
    placements = [place for place in allocations.pods if place.cluster == cluster.name]
    return backends(service, port, cluster.pods, placements)


def named(lab: Lab, name: str, node: str = "") -> list[tuple[Cluster, Service, str]]:
    """The Services of a name, at most one in each cluster, each with a node to look at.

    node: only the Service of its cluster; without one, each cluster's first.
    Raises UsageError: there is no such Service, or no such node.
    """
    there = [(cluster, service) for cluster in lab.clusters for service in cluster.services]
    asked = [(cluster, service) for cluster, service in there if service.qualified == name]
    if not asked:
        raise UsageError(unknown("service", name, [service.qualified for _, service in there]))
    found = []
    for cluster, service in asked:
        places = [one.name for one in cluster.nodes]
        chosen = [place for place in places if place == node] if node else places[:1]
        found += [(cluster, service, place) for place in chosen]
    if not found:
        nodes = [one.name for cluster, _ in asked for one in cluster.nodes]
        raise UsageError(unknown("node", node, nodes))
    return found


def described(
    cluster: Cluster, service: Service, allocations: Allocations, node: str, found: State
) -> Row:
    """A Service, its endpoints, and its rules as they were found on a node."""
    of_cluster = [one for one in allocations.services if one.cluster == cluster.name]
    [address] = [one for one in of_cluster if one.service == service.qualified]
    placements = [place for place in allocations.pods if place.cluster == cluster.name]
    ports = tuple(proxied_ports([service], [address], cluster.pods, placements))
    there = [fact for fact in found if isinstance(fact, Chain) and fact.ns == node]
    planned = [line for port in ports for line in port_rules(port, cluster.cluster_cidr)]
    return {
        "name": service.name,
        "namespace": service.namespace,
        "cluster": cluster.name,
        "type": service.type,
        "selector": dict(service.selector),
        "clusterIp": str(address.cluster_ip),
        "ports": [
            {**row, "endpoints": [_endpoint(backend) for backend in port.backends]}
            for row, port in zip(_ports(service, address), ports, strict=True)
        ],
        "node": node,
        "chains": list(_chains(service, planned, there)),
    }


def _endpoint(backend: Backend) -> Row:
    return {"address": str(backend), "pod": backend.pod, "node": backend.node}


def _chains(service: Service, planned: Iterable[Line], found: Iterable[Chain]) -> Iterator[Row]:
    """The chains it has rules in, in the order a packet meets them, with what is there now.

    Of chains that all Services share, its own rules only.
    """
    reasons = {(line.table, line.chain, line.rule.text): line.rule.why for line in planned}
    there = {(fact.table, fact.name): fact for fact in found}
    for table, name in dict.fromkeys((table, name) for table, name, _ in reasons):
        comment = f'"{service.namespace}/{service.name}:' if name in SHARED else ""
        chain = there.get((table, name))
        yield {
            "table": table,
            "name": name,
            "rules": [
                {"text": rule.text, "why": reasons.get((table, name, rule.text), "")}
                for rule in (chain.rules if chain else ())
                if comment in rule.text
            ],
        }
