"""ls: the labs of this machine."""

import click

from testbed.cli import privilege
from testbed.cli.options import output_option
from testbed.cli.output import emit, note
from testbed.daemon.process import home as homes
from testbed.daemon.process.home import Home
from testbed.daemon.process.protocol import Json, answers, stopped_process


@click.command("ls")
@output_option
def ls_(output: str) -> None:
    """The labs of this machine and whether their daemons answer."""
    rows: list[Json] = [
        {
            "name": home.lab,
            "status": _status(home),
            "pid": holder.pid,
        }
        for home in homes.homes()
        if (holder := home.holder())
    ]
    rows += [
        {"name": name, "status": f"root's: `sudo {privilege.itself()} ls` tells more", "pid": None}
        for name in privilege.roots_labs()
    ]
    if rows or output != "table":
        emit(rows, output)
    else:
        note("no lab is running; `testbed up FILE` starts one")


def _status(home: Home) -> str:
    if not answers(home):
        return "coming up" if home.owner() else "daemon dead: `testbed up FILE` starts a new one"
    if process := stopped_process(home):
        return f"stopped: `kill -CONT {process}` lets it go on"
    if owner := home.owner():
        return f"running until process {owner.pid} ends" if home.applied.exists() else "coming up"
    return "running"
