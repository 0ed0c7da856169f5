"""ping: from one name of the lab to another."""

import click

from testbed.cli.options import (
    ask,
    ends_arguments,
    lab_option,
    option,
    output_option,
    timeout_option,
)
from testbed.cli.output import emit, end


@click.command("ping")
@lab_option
@output_option
@option(
    "-c",
    "--count",
    default=1,
    show_default=True,
    type=click.IntRange(1, 1000),
    metavar="NUMBER",
    help="How many requests.",
)
@timeout_option("each reply")
@ends_arguments
def ping_(
    lab_name: str | None, output: str, count: int, timeout: float, source: str, destination: str
) -> None:
    """Ping from SOURCE to DESTINATION, each a name or (the latter) an address.

    Exits 1 when a request stays without a reply.
    """
    result = ask(
        lab_name, "ping", source=source, destination=destination, count=count, timeout_s=timeout
    )
    if output != "table":
        emit(result, output)
    else:
        times = " ".join(f"{rtt:.3f}" for rtt in result["rtt_ms"])
        click.echo(
            f"{source} -> {destination} ({result['address']}): "
            f"{result['received']} of {result['sent']} answered{times and f', {times} ms'}"
        )
    end(result["received"] == result["sent"])
