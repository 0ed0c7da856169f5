"""What TAB offers: running labs, and the places in them.  Reads files; asks no daemon, no sudo.

eval "$(_TESTBED_COMPLETE=bash_source testbed)"     # or zsh_source, fish_source
"""

from collections.abc import Iterable

import click

from testbed.daemon.process import home as homes
from testbed.errors import TestbedError


def labs(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """This user's running labs that begin so."""
    return _beginning(begun, (home.lab for home in _running()))


def places(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """Pods, nodes and routers that begin so: of the lab that is named, else of any."""
    named = ctx.params.get("lab_name")
    return _beginning(
        begun,
        {
            file.name
            for home in _running()
            if named in (None, home.lab) and home.resolv.is_dir()
            for file in home.resolv.iterdir()  # each namespace has its own resolv.conf
        },
    )


def _running() -> list[homes.Home]:
    """None rather than an error: nobody reads one while typing."""
    try:
        return homes.running()
    except TestbedError:
        return []


def _beginning(begun: str, names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(begun))
