"""exec: a command in pods, nodes or routers."""

import sys

import click

from testbed.cli import completion
from testbed.cli.options import chosen, lab_option
from testbed.daemon import inside
from testbed.errors import UsageError

RAW = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command("exec", context_settings=RAW)
@lab_option
@click.argument(
    "words",
    nargs=-1,
    required=True,
    type=click.UNPROCESSED,
    metavar="NAME... -- CMD...",
    shell_complete=completion.places,
)
def exec_(lab_name: str | None, words: tuple[str, ...]) -> None:
    """Run CMD in every pod, node or router NAME; names may be globs, quoted: 'web-*'.

    The exit code is CMD's, the last one that is not 0 where there are several names.
    """
    names, argv = _split(words)
    home = chosen(lab_name)
    inside.enter_lab(home)
    targets = inside.matching(home, names)
    code = 0
    for name in targets:
        if len(targets) > 1:
            click.echo(click.style(f"--- {name}", bold=True))
        code = inside.run(argv, name) or code
    sys.exit(code)


def _split(words: tuple[str, ...]) -> tuple[tuple[str, ...], list[str]]:
    """The names before `--` and the command after it; without `--` the first word is the name."""
    given = sys.argv[sys.argv.index("exec") + 1 :]
    if "--" in given:
        behind = len(given) - given.index("--") - 1
        cut = len(words) - behind - (0 if "--" not in words else 1)
        names, argv = words[:cut], [*given[len(given) - behind :]]
    else:
        names, argv = words[:1], [*words[1:]]
    if not names or not argv:
        raise UsageError("exec needs a name and a command: testbed exec node-1 -- ip rule")
    return names, argv
