"""clean: what dead labs left behind goes."""

import click

from testbed.cli import privilege
from testbed.daemon import lifecycle


@click.command("clean")
def clean_() -> None:
    """Remove files and names of labs whose processes are gone; running labs are not touched."""
    for name in lifecycle.sweep():
        click.echo(f"removed what was left of lab {name}")
    if privilege.roots_labs():
        privilege.become_root(["clean"])
