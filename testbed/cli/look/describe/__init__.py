"""describe: one object of a running lab with all that belongs to it."""

import click

from testbed.cli import completion
from testbed.cli.look.describe.node import node_lines
from testbed.cli.look.describe.pod import pod_lines
from testbed.cli.look.describe.service import service_lines
from testbed.cli.look.kinds import kind_and_name, kinds
from testbed.cli.options import ask, lab_option, option, output_option
from testbed.cli.output import emit
from testbed.errors import UsageError

LINES = {"services": service_lines, "pods": pod_lines, "nodes": node_lines}


@click.command("describe")
@lab_option
@output_option
@option("--node", default="", metavar="NODE", help="Whose rules to show; without it, the first.")
@click.argument("kind", shell_complete=kinds)
@click.argument("name", default="", shell_complete=completion.places)
def describe_(lab_name: str | None, output: str, node: str, kind: str, name: str) -> None:
    """Show a pod, a node or a Service (KIND) and what the kernels have for it.

    A pod: its node, interface and ENI, the Services it is behind, its routes and its node's rules.
    A node: labels, ENIs, pods, the number of connections.  A Service: addresses, endpoints, and
    iptables rules, on --node.
    """
    kind, name = kind_and_name(kind, name)
    if not name:
        raise UsageError(f"say which of the {kind}: `testbed get {kind}` lists them")
    described = ask(lab_name, "describe", kind=kind, name=name, at=node)
    if output != "table":
        emit(described, output)
    else:
        click.echo("\n\n".join("\n".join(LINES[kind](one)) for one in described))
