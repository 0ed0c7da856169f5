"""clients: whom the other side of a connection sees."""

import click

from testbed.cli.options import ask, lab_option, option, output_option, timeout_option
from testbed.cli.output import emit, end, mark
from testbed.cli.table import table
from testbed.daemon.process.protocol import Json


@click.command("clients")
@lab_option
@output_option
@option(
    "--every-setting",
    is_flag=True,
    help="Ask once for each of the CNI's SNAT settings; the lab is as before afterwards.",
)
@timeout_option("the last answer")
def clients_(lab_name: str | None, output: str, every_setting: bool, timeout: float) -> None:
    """Which address a pod's connection has where it arrives: the pod's, the node's, a gateway's.

    A pod of each interface of each node calls every bare instance, every on-premises host and the
    internet.  Exits 1 when a connection has another fate than the plan predicts.
    """
    rows = ask(lab_name, "clients", every_setting=every_setting, timeout_s=timeout)
    differing = [row for row in rows if not row["agrees"]]
    if output != "table":
        emit(rows, output)
    else:
        click.echo(table(_pivoted(rows)))
        for row in differing:
            foreseen = row["predicted"] or "no answer"
            click.echo(f"{row['from']} to {row['to']}, {row['setting']}: predicted {foreseen}")
        click.echo(
            f"{len(rows) - len(differing)} of {len(rows)} connections as predicted"
            f"  {mark(not differing)}"
        )
    end(not differing)


def _pivoted(rows: list[Json]) -> list[Json]:
    """A line for each setting and pod, a column for each server."""
    lines: dict[tuple[str, str], Json] = {}
    for row in rows:
        line = lines.setdefault(
            (row["setting"], row["from"]),
            {name: row[name] for name in ("setting", "from", "node", "eni")},
        )
        seen = f"{row['is']} {row['client']}" if row["client"] else f"- {row['code']}"
        line[f"{row['to']} ({row['where']})"] = seen
    return list(lines.values())
