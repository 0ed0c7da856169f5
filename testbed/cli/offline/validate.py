"""validate: topology files, checked without touching a kernel."""

from pathlib import Path

import click

from testbed.cli.files import FILE
from testbed.cli.output import mark, note


@click.command("validate")
@click.argument("files", nargs=-1, required=True, type=FILE)
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
