"""matrix: every pair of pods."""

import sys

import click

from testbed.cli.options import ask, lab_option, option, output_option, timeout_option
from testbed.cli.output import emit, mark
from testbed.cli.table import table
from testbed.daemon.process.protocol import Json
from testbed.errors import CheckFailed, Inconclusive


@click.command("matrix")
@lab_option
@output_option
@option(
    "-p",
    "--protocol",
    type=click.Choice(["icmp", "tcp", "http"]),
    default="icmp",
    help="What is sent.",
    show_default=True,
)
@timeout_option("the last reply")
@option("--explain", "explained", is_flag=True, help="Say why each pair that fails does.")
def matrix_(
    lab_name: str | None, output: str, protocol: str, timeout: float, explained: bool
) -> None:
    """Probe every pair of pods and compare with what the topology expects.

    Exits 1 when a pair is not as expected, 3 when a probe was blind.
    """
    result = ask(lab_name, "matrix", protocol=protocol, timeout_s=timeout)
    if explained:
        _explain(lab_name, result, protocol)
    if output != "table":
        emit(result, output)
    else:
        _show_matrix(result, protocol)
    sys.exit(_matrix_code(result))


def _explain(lab_name: str | None, result: Json, protocol: str) -> None:
    """Add to each pair that fails why it does, as predicted from what the kernels have now."""
    rows = [*result["failed"], *result["inconclusive"]]
    pairs = [(row["from"], row["to"]) for row in rows]
    reasons = ask(lab_name, "reasons", pairs=pairs, protocol=protocol) if rows else []
    for row, reason in zip(rows, reasons, strict=True):
        row |= {"code": reason["code"], "why": reason["text"], "advice": reason["advice"]}


def _matrix_code(result: Json) -> int:
    if result["failed"]:
        return CheckFailed.exit_code
    return Inconclusive.exit_code if result["inconclusive"] else 0


def _show_matrix(result: Json, protocol: str) -> None:
    columns = ["from", "to", "protocol", "expected", "observed", "reason", "code", "why"]
    for title in ("failed", "inconclusive"):
        if result[title]:
            click.echo(f"{title}:\n{table(result[title], columns)}")
    click.echo(
        f"{protocol}: {result['ok']} of {result['pairs']} pairs as expected "
        f"in {result['seconds']:.2f} s  {mark(_matrix_code(result) == 0)}"
    )
