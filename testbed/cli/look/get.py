"""get: the objects of a running lab, its kernels' too."""

import click

from testbed.cli import completion
from testbed.cli.look.kinds import kind_and_name, kinds
from testbed.cli.options import ask, lab_option, option
from testbed.cli.output import emit
from testbed.daemon.process.protocol import Json

COLUMNS = {
    "services": ["name", "type", "clusterIp", "externalIp", "ports", "selector", "cluster"],
    "endpoints": ["name", "endpoints", "cluster"],
    "endpointslices": ["name", "addressType", "ports", "endpoints", "service", "cluster"],
    "enis": [
        "name",
        "instance",
        "device",
        "subnet",
        "primary",
        "secondary",
        "prefixes",
        "publicIp",
        "sourceDestCheck",
    ],
    "pods": ["name", "status", "node", "ip", "eni", "ports", "reason"],
    "rules": ["ns", "text", "why"],
    "routes": ["ns", "text", "why"],
    "neighbours": ["ns", "text", "why"],
    "addresses": ["ns", "text", "why"],
    "links": ["ns", "text", "why"],
}


@click.command("get")
@lab_option
@option(
    "-o",
    "--output",
    type=click.Choice(["table", "wide", "json", "yaml"]),
    default="table",
    help="How to print; wide: every column.",
)
@click.argument("kind", shell_complete=kinds)
@click.argument("name", default="", shell_complete=completion.places)
def get_(lab_name: str | None, output: str, kind: str, name: str) -> None:
    """Objects of a KIND, all or the one of that NAME.

    pods services endpoints endpointslices nodes instances enis subnets vpcs securitygroups
    networkacls routetables peerings transitgateways connections hosts are the lab's.  rules routes
    neighbours chains addresses links are read from the kernels, and so is conntrack: how full the
    table is and what it lost; NAME is then the pod, node or router to look at.
    """
    kind, name = kind_and_name(kind, name)
    rows = ask(lab_name, "get", kind=kind, name=name)
    as_table = output in ("table", "wide")
    if kind == "chains" and as_table:
        click.echo("\n".join(f"# {row['name']}\n{row['text']}" for row in rows))
    else:
        shown = _routes(rows) if kind == "routetables" and as_table else rows
        emit(shown, output, () if output == "wide" else COLUMNS.get(kind, ()))


def _routes(tables: Json) -> list[Json]:
    """Route tables as the console lists them: a line for each route, the subnets beside."""
    return [
        {
            "name": table["name"] if first else "",
            "vpc": table["vpc"] if first else "",
            "subnets": table["subnets"] if first else [],
            **route,
        }
        for table in tables
        for number, route in enumerate(table["routes"])
        for first in [number == 0]
    ]
