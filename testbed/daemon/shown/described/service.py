"""A Service as `describe` shows it: addresses, endpoints, and its chains on a node.  Pure."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from testbed.allocations import Allocations
from testbed.daemon.shown.described.nft_table import table_rows
from testbed.daemon.shown.services import cluster_ip, ports_of
from testbed.description.problem import unknown
from testbed.errors import UsageError
from testbed.kubernetes.model import Service
from testbed.lab import Cluster, Lab
from testbed.net.facts import Chain, Fact, State
from testbed.plan.proxies import behind, kubelets, node_zones, proxied, proxy_nodes
from testbed.services.endpoints import Backend
from testbed.services.kube_proxy.era_current import FIREWALL
from testbed.services.kube_proxy.nftables.port import port_facts
from testbed.services.kube_proxy.node import PortRules
from testbed.services.kube_proxy.ports import ProxiedPort
from testbed.services.kube_proxy.rules import (
    EXTERNAL_SERVICES,
    NODE_PORTS,
    SERVICES,
    Line,
    ProxyNode,
)

Row = dict[str, Any]

SHARED = (SERVICES, NODE_PORTS, EXTERNAL_SERVICES, FIREWALL)  # chains with rules of all Services


def named(
    lab: Lab, allocations: Allocations, name: str, node: str = ""
) -> list[tuple[Cluster, Service, str]]:
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
        places = kubelets(cluster, allocations)
        chosen = [place for place in places if place == node] if node else places[:1]
        found += [(cluster, service, place) for place in chosen]
    if not found:
        nodes = [one for cluster, _ in asked for one in kubelets(cluster, allocations)]
        raise UsageError(unknown("node", node, nodes))
    return found


def described(
    lab: Lab, cluster: Cluster, service: Service, allocations: Allocations, at: tuple[str, State]
) -> Row:
    """A Service, its endpoints, and its rules as they were found.  at: a node, and all there."""
    zones, (node, found) = node_zones(lab.vpcs, allocations), at
    of_cluster = [one for one in allocations.services if one.cluster == cluster.name]
    [address] = [one for one in of_cluster if one.service == service.qualified]
    there = [fact for fact in found if fact.ns == node]
    endpoints = behind(cluster, allocations, zones)
    ports = proxied(cluster, allocations, zones)
    [place] = [one for one in proxy_nodes(cluster, allocations, zones) if one.name == node]
    return {
        "name": service.name,
        "namespace": service.namespace,
        "cluster": cluster.name,
        "type": service.type,
        "selector": dict(service.selector),
        "clusterIp": cluster_ip(service, address),
        "externalIps": [*map(str, (*service.load_balancer_ips, *service.external_ips))],
        "externalName": service.external_name,
        "sessionAffinity": service.session_affinity,
        "externalTrafficPolicy": service.external_traffic_policy,
        "internalTrafficPolicy": service.internal_traffic_policy,
        "healthCheckNodePort": address.health_check_node_port,
        "ports": [
            {**row, "endpoints": [*map(_endpoint, endpoints.backends(service, port))]}
            for row, port in zip(ports_of(service, address), service.ports, strict=True)
        ],
        "node": node,
        "chains": [*_rules(cluster, service, ports, place, there)],
    }


def _rules(
    cluster: Cluster,
    service: Service,
    ports: tuple[ProxiedPort, ...],
    place: ProxyNode,
    found: Iterable[Fact],
) -> Iterator[Row]:
    """The rules of a Service that are planned on a node, as they are there now.

    ports: of all the cluster's Services.
    """
    own = [
        port
        for port in ports
        if (port.namespace, port.service) == (service.namespace, service.name)
    ]
    if cluster.proxy.mode == "nftables":
        planned = (fact for port in own for fact in port_facts(port, cluster.proxy, place))
        return table_rows(planned, found)
    rules = PortRules(ports, cluster.proxy)
    lines = (line for port in own for line in rules.of(port, place))
    return _chains(service, lines, [fact for fact in found if isinstance(fact, Chain)])


def _endpoint(backend: Backend) -> Row:
    ready = "ready" if backend.ready else "not ready"
    condition = "terminating" if backend.terminating else ready
    return {
        "address": str(backend),
        "pod": backend.pod,
        "node": backend.node,
        "condition": condition,
    }


def _chains(service: Service, planned: Iterable[Line], found: Iterable[Chain]) -> Iterator[Row]:
    """The chains it has rules in, in the order a packet meets them, with what is there now.

    Of chains that all Services share, its own rules only.
    """
    planned = tuple(planned)
    reasons = {
        (table, chain, rule.text): rule.why for table, chain, rule in planned if rule is not None
    }
    of_service = re.compile(f'"{re.escape(f"{service.namespace}/{service.name}")}[:" ]')
    there = {(fact.table, fact.name): fact for fact in found}
    for table, name in dict.fromkeys((line.table, line.chain) for line in planned):
        chain = there.get((table, name))
        yield {
            "table": table,
            "name": name,
            "rules": [
                {"text": rule.text, "why": reasons.get((table, name, rule.text), "")}
                for rule in (chain.rules if chain else ())
                if name not in SHARED or of_service.search(rule.text)
            ],
        }
