"""What the verbs share: choosing a lab, the output format, reaching the daemon."""

from collections.abc import Callable, Sequence
from math import isnan
from typing import Any

import click

from testbed.cli import completion
from testbed.cli.privilege import become_owner
from testbed.daemon.process import home as homes
from testbed.daemon.process.home import Home
from testbed.daemon.process.protocol import Json, call
from testbed.errors import UsageError

TIMEOUTS_S = (0.01, 600)
Function = Callable[..., Any]


def parsed(parse: Callable[[str], Any]) -> Callable[..., Any]:
    """A callback for an option whose value a function makes, or raises ValueError for."""

    def callback(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
        try:
            return None if value is None else parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from error

    return callback


def option(*names: str, **settings: Any) -> Callable[[Function], Function]:
    """A click option that can be given as the environment variable TESTBED_NAME too."""
    longest = max(names, key=len).split("/")[0].lstrip("-")
    settings.setdefault("envvar", f"TESTBED_{longest.replace('-', '_').upper()}")
    return click.option(*names, **settings)


def lab_option(function: Function) -> Function:
    """`-l/--lab`: which running lab; none is the only one there is."""
    return option(
        "-l",
        "--lab",
        "lab_name",
        metavar="LAB",
        envvar="TESTBED_LAB",
        shell_complete=completion.labs,
        help="The lab; without it, the only running one.",
    )(function)


def ends_arguments(function: Function) -> Function:
    """SOURCE and DESTINATION: names, or what a verb says."""
    function = click.argument("destination", shell_complete=completion.places)(function)
    return click.argument("source", shell_complete=completion.places)(function)


def output_option(function: Function) -> Function:
    """`-o/--output`: how a result is printed."""
    choice = click.Choice(["table", "json", "yaml"])
    return option("-o", "--output", type=choice, default="table", help="How to print.")(function)


def timeout_option(awaited: str, default_s: float = 1.0) -> Callable[[Function], Function]:
    """`--timeout`: how long something is waited for."""
    return option(
        "--timeout",
        default=default_s,
        show_default=True,
        type=click.FloatRange(*TIMEOUTS_S),
        callback=_ends,
        metavar="SECONDS",
        help=f"How long to wait for {awaited}.",
    )


def _ends(ctx: click.Context, param: click.Parameter, value: float) -> float:
    """The number; not a number, which is in every range, would never be over."""
    if isnan(value):
        raise click.BadParameter("nan is no number of seconds", ctx, param)
    return value


def publish_option(function: Function) -> Function:
    """`--publish`: whether the host gets names for the lab's namespaces; None: as it is."""
    return option(
        "--publish/--no-publish",
        "published",
        default=None,
        help="Names on the host: ip netns exec LAB.node-1 ip rule.",
    )(function)


def rootless_option(function: Function) -> Function:
    """`--rootless`: a lab of this user's own though there is sudo."""
    return option(
        "--rootless",
        is_flag=True,
        help="Without root and sudo, in a user namespace: docs/rootless.md.",
    )(function)


def overrides(settings: Sequence[str]) -> dict[str, str]:
    """KEY=VALUE arguments as a map.  Raises UsageError."""
    for one in settings:
        if "=" not in one:
            raise UsageError(f"expected KEY=VALUE, found {one!r}")
    return {key: value for key, _, value in (one.partition("=") for one in settings)}


def chosen(lab_name: str | None) -> Home:
    """The running lab that is meant.  Raises UsageError when that is none or not clear."""
    here = Home.inside()
    if here and lab_name in (None, here.lab):
        return here  # in there, process ids are the lab's own
    become_owner(lab_name)
    running = homes.running()
    if lab_name is not None:
        for home in running:
            if home.lab == lab_name:
                return home
        others = ", ".join(home.lab for home in running) or "none"
        raise UsageError(f"no lab named '{lab_name}' is running; running: {others}")
    if not running:
        raise UsageError("no lab is running; `testbed up FILE` starts one")
    if len(running) > 1:
        choices = ", ".join(f"-l {home.lab}" for home in running)
        raise UsageError(f"several labs are running: say which one, {choices}")
    return running[0]


def ask(lab_name: str | None, verb: str, **args: Json) -> Json:
    """The answer of the chosen lab's daemon."""
    return call(chosen(lab_name), verb, **args)
