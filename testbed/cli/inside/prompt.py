"""Mininet's prompt over a running lab, with the testbed's own verbs beside Mininet's."""

import io
from contextlib import redirect_stdout

import click

from testbed.cli.look.get import get_
from testbed.cli.look.slide import slide_
from testbed.cli.look.verify import verify_
from testbed.cli.packets.matrix import matrix_
from testbed.cli.packets.path import path_
from testbed.daemon import inside
from testbed.daemon.process.home import Home
from testbed.daemon.process.protocol import call
from testbed.daemon.shown.prompt import from_json
from testbed.errors import UsageError
from testbed.mininet.prompt import Command, Said, prompt

VERBS = {"get": get_, "matrix": matrix_, "path": path_, "slide": slide_, "verify": verify_}


def open_prompt(home: Home, script: tuple[str, ...]) -> int:
    """Mininet's prompt inside the lab until the user leaves it, or just these commands.

    The exit code that the commands come to.
    """
    return prompt(
        from_json(call(home, "inside")),
        lambda: inside.enter_lab(home),
        restore=lambda: call(home, "heal"),
        commands=commands(),
        script=script or None,
    )


def commands() -> dict[str, Command]:
    """The testbed's verbs as commands of Mininet's prompt."""
    return {"pods": _pods} | {name: _printed_by(verb) for name, verb in VERBS.items()}


def _pods(words: list[str]) -> Said:
    """The pods, their nodes and addresses."""
    return _printed_by(get_)(["pods", *words])


def _printed_by(verb: click.Command) -> Command:
    """The verb as a function from its words to what it prints; what it raises goes on."""

    def printed(words: list[str]) -> Said:
        code = 0
        with redirect_stdout(io.StringIO()) as output:
            try:
                verb.main(words, prog_name=verb.name, standalone_mode=False)
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0
            except click.ClickException as error:
                raise UsageError(error.format_message()) from error
        return Said(output.getvalue(), code)

    printed.__doc__ = verb.help
    return printed
