"""get, path, slide: looking at a running lab."""

import sys

import click

from testbed.cli import completion
from testbed.cli.options import ask, ends_arguments, lab_option, output_option
from testbed.cli.output import emit, note, table
from testbed.daemon.process.protocol import Json

COLUMNS = {
    "services": ["name", "type", "clusterIp", "externalIp", "ports", "selector", "cluster"],
    "endpoints": ["name", "endpoints", "cluster"],
    "pods": ["name", "status", "node", "ip", "eni", "ports", "reason"],
    "rules": ["ns", "text", "why"],
    "routes": ["ns", "text", "why"],
    "neighbours": ["ns", "text", "why"],
    "addresses": ["ns", "text", "why"],
    "links": ["ns", "text", "why"],
}
ALIASES = {
    "pod": "pods", "po": "pods", "node": "nodes", "no": "nodes", "eni": "enis", "vpc": "vpcs",
    "subnet": "subnets", "rule": "rules", "route": "routes", "neighbour": "neighbours",
    "neigh": "neighbours", "chain": "chains", "link": "links", "address": "addresses",
    "service": "services", "svc": "services", "endpoint": "endpoints", "ep": "endpoints",
    "route-tables": "routetables", "routetable": "routetables", "instance": "instances",
    "peering": "peerings", "transitgateway": "transitgateways", "tgw": "transitgateways",
    "connection": "connections", "host": "hosts", "securitygroup": "securitygroups",
    "security-groups": "securitygroups", "sg": "securitygroups", "networkacl": "networkacls",
    "network-acls": "networkacls", "acl": "networkacls",
}  # fmt: skip


def _kinds(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """What TAB offers for a kind: the words that stand for one, whole."""
    return sorted(kind for kind in {*ALIASES.values()} if kind.startswith(begun))


@click.command("get")
@lab_option
@output_option
@click.argument("kind", shell_complete=_kinds)
@click.argument("name", default="", shell_complete=completion.places)
def get_(lab_name: str | None, output: str, kind: str, name: str) -> None:
    """Objects of a KIND, all or the one of that NAME.

    pods services endpoints nodes instances enis subnets vpcs securitygroups networkacls
    routetables peerings transitgateways connections hosts are the lab's.  rules routes neighbours
    chains addresses links are read from the kernels; NAME is then the pod, node or router to look
    at.
    """
    kind = ALIASES.get(kind, kind)
    rows = ask(lab_name, "get", kind=kind, name=name)
    if kind == "chains" and output == "table":
        click.echo("\n".join(f"# {row['name']}\n{row['text']}" for row in rows))
    else:
        shown = _routes(rows) if kind == "routetables" and output == "table" else rows
        emit(shown, output, COLUMNS.get(kind, ()))


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


@click.command("path")
@lab_option
@output_option
@ends_arguments
def path_(lab_name: str | None, output: str, source: str, destination: str) -> None:
    """The way of a packet from SOURCE to DESTINATION (a name or an address), hop by hop.

    Predicted from what the kernels on the way have now; nothing is sent.  `explain` tells more.
    Exits 1 when it ends early.
    """
    found = ask(lab_name, "path", source=source, destination=destination)
    if output != "table":
        emit(found, output)
    else:
        click.echo(table(found["hops"], ["ns", "dev", "rule", "table", "route", "why"]))
        click.echo(f"{destination}: {found['verdict']}")
    sys.exit(0 if found["delivered"] else 1)


@click.command("slide")
@lab_option
@output_option
def slide_(lab_name: str | None, output: str) -> None:
    """The topology's slides beside what the same command prints in the lab's node.

    Exits 1 when a line of a slide is missing in the kernel or the kernel has one more.
    """
    results = ask(lab_name, "slide")
    if output != "table":
        emit(results, output)
    else:
        for result in results:
            click.echo(side_by_side(result))
        if not results:
            note("the lab's topology has no slides; topologies/eks-slides.yaml has some")
    sys.exit(0 if all(result["same"] for result in results) else 1)


def side_by_side(result: Json) -> str:
    """A slide on the left, the kernel on the right, a mark between where they differ."""
    left, right = "the slide", f"{result['node']}: {result['command']}"
    width = max(len(left), *(len(line["slide"]) for line in result["lines"]))
    lines = [click.style(result["title"], bold=True), f"  {left:{width}}   {right}"]
    for line in result["lines"]:
        sign = "=" if line["slide"] == line["kernel"] else click.style("≠", fg="red")
        lines.append(f"  {line['slide']:{width}} {sign} {line['kernel']}")
    lines.append("  no difference" if result["same"] else click.style("  they differ", fg="red"))
    return "\n".join([*lines, ""])
