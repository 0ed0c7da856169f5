"""ping, matrix, verify: checking a running lab."""

import sys

import click

from testbed.cli.options import (
    ask,
    ends_arguments,
    lab_option,
    option,
    output_option,
    timeout_option,
)
from testbed.cli.output import emit, mark, table
from testbed.daemon.process.protocol import Json

EXIT_FAILED, EXIT_INCONCLUSIVE = 1, 3


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
    sys.exit(0 if result["received"] == result["sent"] else EXIT_FAILED)


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
        return EXIT_FAILED
    return EXIT_INCONCLUSIVE if result["inconclusive"] else 0


def _show_matrix(result: Json, protocol: str) -> None:
    columns = ["from", "to", "protocol", "expected", "observed", "reason", "code", "why"]
    for title in ("failed", "inconclusive"):
        if result[title]:
            click.echo(f"{title}:\n{table(result[title], columns)}")
    click.echo(
        f"{protocol}: {result['ok']} of {result['pairs']} pairs as expected "
        f"in {result['seconds']:.2f} s  {mark(_matrix_code(result) == 0)}"
    )


@click.command("verify")
@lab_option
@output_option
def verify_(lab_name: str | None, output: str) -> None:
    """Compare every namespace with the plan, and say why each differing fact is there.

    Exits 1 when anything differs; `testbed up FILE` heals it.
    """
    result = ask(lab_name, "verify")
    differing = [
        (sign, fact)
        for sign, kind in (
            ("missing", "missing"),
            ("not planned", "extra"),
            ("changed", "changed"),
        )
        for fact in result[kind]
    ]
    if output != "table":
        emit(result, output)
    elif not differing:
        click.echo(f"{result['facts']} facts as planned  {mark(True)}")
    else:
        for sign, fact in differing:
            click.echo(
                f"{click.style(sign, fg='red')}  {fact['ns']}  {fact['kind']}: {fact['text']}"
            )
            if "found" in fact:
                click.echo(f"    found: {fact['found']}")
            if fact["why"]:
                click.echo(f"    why: {fact['why']}")
        click.echo(
            f"{len(differing)} of {result['facts']} facts differ; `testbed up FILE` heals them"
        )
    sys.exit(EXIT_FAILED if differing else 0)
