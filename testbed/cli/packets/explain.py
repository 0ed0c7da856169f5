"""explain: one packet's life, told by the kernels it met."""

import shutil
import sys

import click

from testbed.cli.options import ask, ends_arguments, lab_option, option, timeout_option
from testbed.cli.output import emit
from testbed.errors import UsageError
from testbed.explain.journey import SIZES

LAST_PORT = 65535
FORMATS = ("text", "table", "json", "yaml", "html", "svg")


@click.command("explain")
@lab_option
@option(
    "-o",
    "--output",
    type=click.Choice(FORMATS),
    default="text",
    metavar="[text|json|yaml|html|svg]",
    help="text for a terminal, html for a page with a drawing, svg for the drawing alone.",
)
@option(
    "-p",
    "--protocol",
    type=click.Choice(["icmp", "tcp", "udp"]),
    help="icmp unless DESTINATION has a port or is a Service.",
)
@option(
    "--size",
    type=click.IntRange(*SIZES),
    metavar="BYTES",
    help="Send a packet so large, headers included, that may not be fragmented.",
)
@option(
    "--source-port",
    type=click.IntRange(1, LAST_PORT),
    metavar="PORT",
    help="Send a datagram from this port: kernels may remember a connection of it.",
)
@option("--predict", is_flag=True, help="Send nothing: tell it from rules and routes.")
@option(
    "--what-if",
    "edits",
    multiple=True,
    metavar="EDIT",
    help="Predict with this changed, 'delete rule node-1 1536'; repeatable.",
)
@option("--tracefs/--no-tracefs", default=True, help="Let the kernel's own tracing be a witness.")
@timeout_option("a packet that does not come", default_s=0.5)
@option("-v", "--verbose", is_flag=True, help="Tell the rules too that only make the VPC.")
@ends_arguments
def explain_(
    lab_name: str | None,
    output: str,
    size: int | None,
    source_port: int | None,
    source: str,
    destination: str,
    **settings: bool | float | str | tuple[str, ...] | None,
) -> None:
    """Follow one packet from SOURCE to DESTINATION (a name or an address; a port after a colon).

    A real packet is sent and watched in every namespace on its way; what was predicted is compared
    with what was seen.  Exits 1 when it or its reply is dropped, 3 when witnesses contradict.
    """
    name, port = _split(destination)
    result = ask(
        lab_name,
        "explain",
        source=source,
        destination=name,
        port=port,
        size=size or 0,
        source_port=source_port or 0,
        output=output,
        width=shutil.get_terminal_size().columns,
        **settings,
    )
    if output in ("json", "yaml"):
        emit(result["document"], output)
    else:
        click.echo(result["document"], nl=False)
    sys.exit(result["exit_code"])


def _split(destination: str) -> tuple[str, int]:
    """`web-0:80` in two; a port of 0 is none.  Raises UsageError."""
    name, colon, port = destination.rpartition(":")
    if not colon or ":" in name or not port.isdecimal():
        return destination, 0
    if not 0 < int(port) <= LAST_PORT:
        raise UsageError(f"'{port}' is no port: expected 1 to {LAST_PORT}")
    return name, int(port)
