"""describe: one object of a running lab with all that belongs to it."""

from collections.abc import Iterator

import click

from testbed.cli.look.kinds import ALIASES
from testbed.cli.options import ask, lab_option, option, output_option
from testbed.cli.output import emit, table
from testbed.daemon.process.protocol import Json


@click.command("describe")
@lab_option
@output_option
@option("--node", default="", metavar="NODE", help="Whose rules to show; without it, the first.")
@click.argument("kind")
@click.argument("name")
def describe_(lab_name: str | None, output: str, node: str, kind: str, name: str) -> None:
    """Show the Service NAME (KIND is `service`): addresses, endpoints, and iptables rules.

    The rules are read from a node's kernel, each with what it is for.
    """
    described = ask(lab_name, "describe", kind=ALIASES.get(kind, kind), name=name, node=node)
    if output != "table":
        emit(described, output)
    else:
        click.echo("\n\n".join("\n".join(_service(one)) for one in described))


def _service(service: Json) -> Iterator[str]:
    """kubectl's way, and then the rules as `iptables-save` has them."""
    selector = ",".join(f"{key}={is_}" for key, is_ in service["selector"].items())
    for title, value in (
        ("Name", service["name"]),
        ("Namespace", service["namespace"]),
        ("Cluster", service["cluster"]),
        ("Selector", selector),
        ("Type", service["type"]),
        ("IP", service["clusterIp"]),
    ):
        yield f"{title + ':':12}{value}"
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
    for rule in chain["rules"]:
        if rule["why"]:
            yield click.style(f"  # {rule['why']}", dim=True)
        yield f"  -A {chain['name']} {rule['text']}"
