"""exec, shell, mininet: being inside a lab."""

import os
import sys

import click

from testbed.cli import completion
from testbed.cli.options import chosen, lab_option
from testbed.cli.output import note
from testbed.daemon import inside
from testbed.daemon.process.home import Home
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


@click.command("mininet")
@lab_option
@click.option("-c", "--command", "commands", multiple=True, help="Run this and leave; repeatable.")
def mininet_(lab_name: str | None, commands: tuple[str, ...]) -> None:
    """Mininet's own prompt over the running lab: `web-0 ping -c1 client`, `pingall`, `net`.

    With -c the exit code is that of a testbed verb that fails, 2 where the prompt complains, and
    else 0: as in Mininet, what programs in pods end with does not count.
    """
    from testbed.cli.prompt import open_prompt

    sys.exit(open_prompt(chosen(lab_name), commands))
