"""down: take labs down."""

from pathlib import Path

import click

from testbed.cli import completion, privilege
from testbed.cli.files import is_file, loaded
from testbed.cli.options import chosen, option
from testbed.cli.output import note
from testbed.daemon import lifecycle
from testbed.daemon.process import home as homes


@click.command("down")
@click.argument("labs", nargs=-1, metavar="[LAB]...", shell_complete=completion.labs)
@option("-a", "--all", "everything", is_flag=True, help="Every running lab.")
def down_(labs: tuple[str, ...], everything: bool) -> None:
    """Take labs down until nothing of them remains; doing it twice is fine."""
    own, roots = [home.lab for home in homes.running()], privilege.roots_labs()
    if not labs and not everything:
        if not own and not roots:
            note("no lab is running")
            return
        labs = (chosen(None).lab,)
    if not everything:
        names = [_lab_name(given) for given in labs]
        roots = [name for name in names if name in roots and name not in own]
        own = [name for name in names if name not in roots]
    for name in own:
        existed = lifecycle.down(name)
        click.echo(f"lab {name}: {'down' if existed else 'was not running'}")
    if roots:
        privilege.become_root(["down", "--", *roots])


def _lab_name(given: str) -> str:
    """The name of a lab, or of the lab in a file."""
    return loaded(Path(given), None).name if is_file(given) else given
