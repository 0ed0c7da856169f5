"""clean: what dead labs left behind goes."""

import click

from testbed.cli import privilege
from testbed.daemon import lifecycle
from testbed.kernel.machine import temporary


@click.command("clean")
def clean_() -> None:
    """Remove files and names of labs whose processes are gone; running labs are not touched.

    Those of tests (`bed`) too.
    """
    for name in lifecycle.sweep():
        click.echo(f"removed what was left of lab {name}")
    for directory in temporary.sweep():
        click.echo(f"removed {directory}, what was left of a test")
    if privilege.roots_labs():
        privilege.become_root(["clean"])
