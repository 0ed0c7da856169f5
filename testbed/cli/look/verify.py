"""verify: the kernel beside the plan."""

import click

from testbed.cli.options import ask, lab_option, output_option
from testbed.cli.output import emit, end, mark


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
    end(not differing)
