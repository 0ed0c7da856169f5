"""validate, schema, doctor: files and machines, without a lab."""

import json
import sys
from pathlib import Path

import click

from testbed.cli.options import output_option
from testbed.cli.output import emit, mark, note

EXIT_LACKING = 4


@click.command("validate")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def validate_(files: tuple[Path, ...]) -> None:
    """Check topology FILEs completely, addresses and wiring too, without touching a kernel.

    What AWS would take but advises against, or what cannot answer, is told on standard error.
    """
    from testbed.allocations import allocate
    from testbed.lab.checks import warnings
    from testbed.load import load
    from testbed.plan import plan

    for file in files:
        lab = load(file)
        allocations = allocate(lab)
        facts = plan(lab, allocations)
        for problem in warnings(lab):
            note(f"{file}: {problem.key}: {problem.message}")
        click.echo(
            f"{file}: lab {lab.name}, {len(allocations.pods)} pods, "
            f"{len(allocations.pending)} pending, {len(facts)} facts  {mark(True)}"
        )


@click.command("schema")
@click.argument("kind", type=click.Choice(["topology", "explain"]), default="topology")
def schema_(kind: str) -> None:
    """Print the JSON schema of topology files, for an editor, or of `explain -o json`."""
    if kind == "explain":
        from testbed.explain.render.document import schema
    else:
        from testbed.load import schema
    click.echo(json.dumps(schema(), indent=2))


@click.command("doctor")
@output_option
def doctor_(output: str) -> None:
    """Try what the labs need of this machine and say what is missing and what to do about it.

    Exits 4 when something the labs cannot do without is missing.
    """
    from testbed.kernel.machine.doctor import examine

    findings = examine()
    rows = [
        {
            "name": finding.feature,
            "status": finding.status,
            "needed": finding.needed,
            "detail": finding.detail,
            "remedy": finding.remedy,
        }
        for finding in findings
    ]
    emit(rows, output)
    missing = [finding for finding in findings if finding.status == "missing"]
    lacking = [finding.feature for finding in missing if finding.needed]
    without = ", ".join(finding.feature for finding in missing if not finding.needed) or "nothing"
    if lacking:
        note(f"labs cannot run here without {', '.join(lacking)}")
    else:
        note(f"labs can run here; missing, and needed by some only: {without}")
    sys.exit(EXIT_LACKING if lacking else 0)
