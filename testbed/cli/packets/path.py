"""path: the way of a packet, hop by hop."""

import click

from testbed.cli.options import ask, ends_arguments, lab_option, output_option
from testbed.cli.output import emit, end
from testbed.cli.table import table


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
    end(found["delivered"])
