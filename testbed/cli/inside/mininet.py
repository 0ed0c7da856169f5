"""mininet: Mininet's own prompt."""

import sys

import click

from testbed.cli.options import chosen, lab_option


@click.command("mininet")
@lab_option
@click.option("-c", "--command", "commands", multiple=True, help="Run this and leave; repeatable.")
def mininet_(lab_name: str | None, commands: tuple[str, ...]) -> None:
    """Mininet's own prompt over the running lab: `web-0 ping -c1 client`, `pingall`, `net`.

    With -c the exit code is that of a testbed verb that fails, 2 where the prompt complains, and
    else 0: as in Mininet, what programs in pods end with does not count.
    """
    from testbed.cli.inside.prompt import open_prompt

    sys.exit(open_prompt(chosen(lab_name), commands))
