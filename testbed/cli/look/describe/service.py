"""A Service, kubectl's way, and then its rules as `iptables-save` or `nft` has them."""

from collections.abc import Iterator

import click

from testbed.cli.look.describe.words import field, labels, reasoned
from testbed.cli.table import table
from testbed.daemon.process.protocol import Json
from testbed.net.netfilter.iptables import TABLES


def service_lines(service: Json) -> Iterator[str]:
    """kubectl's way, and then the rules as `iptables-save` or `nft` has them."""
    for title, value in (
        ("Name", service["name"]),
        ("Namespace", service["namespace"]),
        ("Cluster", service["cluster"]),
        ("Selector", labels(service["selector"])),
        ("Type", service["type"]),
        ("IP", service["clusterIp"]),
    ):
        yield field(title, value)
    yield from _more(service)
    yield from _load_balancer(service["loadBalancer"])
    for port in service["ports"]:
        yield from _port(port)
    for chain in service["chains"]:
        yield ""
        yield click.style(
            f"{service['node']}: {chain['name']} in table {chain['table']}", bold=True
        )
        yield from _rules(chain) if chain["rules"] else ["  no rule of this Service"]


def _more(service: Json) -> Iterator[str]:
    """What few Services have."""
    for title, value, usual in (
        ("External Name", service["externalName"], ""),
        ("External IPs", ",".join(service["externalIps"]), ""),
        ("Session Affinity", service["sessionAffinity"], "None"),
        ("External Traffic Policy", service["externalTrafficPolicy"], "Cluster"),
        ("Internal Traffic Policy", service["internalTrafficPolicy"], "Cluster"),
        ("HealthCheck NodePort", service["healthCheckNodePort"], 0),
    ):
        if value != usual:
            yield f"{title + ':':25}{value}"


def _load_balancer(balancer: Json | None) -> Iterator[str]:
    """Its name, and in each zone its addresses and targets."""
    if balancer is None:
        return
    yield f"LoadBalancer Ingress:  {balancer['hostname'] or '<pending>'}"
    yield from (f"{'':12}{line}" for line in table(balancer["zones"]).splitlines()[1:])


def _port(port: Json) -> Iterator[str]:
    name = f"{port['name']} " if port["name"] else ""
    leads = f" -> {port['targetPort']}" if port["targetPort"] != port["port"] else ""
    node_port = f", node port {port['nodePort']}" if port["nodePort"] else ""
    yield f"{'Port:':12}{name}{port['port']}/{port['protocol']}{leads}{node_port}"
    shown = table(port["endpoints"]).splitlines()[1:] or ["none: connections are refused"]
    for title, line in zip(["Endpoints:", *[""] * len(shown)], shown, strict=False):
        yield f"{title:12}{line}"


def _rules(chain: Json) -> Iterator[str]:
    """In nft's table the name above is enough."""
    name = f"-A {chain['name']} " if chain["table"] in TABLES else ""
    for rule in chain["rules"]:
        yield from reasoned({**rule, "text": f"{name}{rule['text']}"})
