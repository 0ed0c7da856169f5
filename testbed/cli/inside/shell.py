"""shell: a shell in a pod, node or router."""

import os
import sys

import click

from testbed.cli import completion
from testbed.cli.options import chosen, lab_option
from testbed.cli.output import note
from testbed.daemon import inside
from testbed.daemon.process.home import Home


@click.command("shell")
@lab_option
@click.argument("name", default="", shell_complete=completion.places)
def shell_(lab_name: str | None, name: str) -> None:
    """A shell in a pod, node or router.

    Without NAME it is in the lab itself, where `ip netns exec node-1 ip rule` works.
    """
    home = chosen(lab_name)
    inside.enter_lab(home)
    if name:
        [name, *_] = inside.matching(home, (name,))
    else:
        note("`ip netns` lists what is here; `ip netns exec node-1 ip rule` looks at a node")
    sys.exit(inside.run(_shell(home, name), name))


def _shell(home: Home, name: str) -> list[str]:
    """A shell whose prompt says where it is."""
    program = os.environ.get("SHELL", "/bin/sh")
    if not program.endswith("bash"):
        return [program]
    rc = home.path / "bashrc"
    rc.write_text(
        '[ -f ~/.bashrc ] && . ~/.bashrc\nPS1="[$TESTBED_PLACE] \\w \\$ "\n', encoding="utf-8"
    )
    os.environ["TESTBED_PLACE"] = f"{home.lab}:{name}" if name else home.lab
    return [program, "--rcfile", str(rc), "-i"]
