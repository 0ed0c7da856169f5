"""The command line: one verb, one short function; the only place that prints or exits."""

import os
import sys
import warnings
from importlib import import_module
from io import StringIO
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from testbed import __version__
from testbed.cli.verbs import SECTIONS, VERBS, place
from testbed.errors import IgnoredSetting, TestbedError, printable, told
from testbed.kernel.machine.garbage import collect_no_more, collect_rarely

WIDEST = max(map(len, VERBS))  # one column for the verbs of all sections


class Verbs(click.Group):
    """A group that knows its verbs by name and imports one when it is used: all are quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of a lab's life."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's own command, or None."""
        if cmd_name not in VERBS:
            return None
        command = getattr(import_module(place(cmd_name)), f"{cmd_name}_")
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The verbs that begin so, without importing any of them."""
        begun = [verb for verb in VERBS if verb.startswith(incomplete)]
        return [CompletionItem(verb, help=VERBS[verb]) for verb in begun]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that the words begin with; of one that there is not, the nearest there is."""
        if args[0] not in VERBS and not args[0].startswith("-"):
            from testbed.description.problem import nearest, quoted

            ctx.fail(f"no verb {quoted(args[0])}{nearest(args[0], VERBS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs and what they are for, without importing any of them."""
        for title, verbs in SECTIONS.values():
            with formatter.section(title):
                formatter.write_dl([(f"{verb:{WIDEST}}", text) for verb, text in verbs.items()])


FIRST = "To begin: testbed up; testbed get pods; testbed explain web-0 client; testbed down"


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]}, epilog=FIRST)
@click.version_option(__version__, prog_name="testbed")
def testbed() -> None:
    """Amazon EKS and kops networking on an emulated VPC, with real packets, on this machine."""


def main() -> None:
    """Run the command line; a TestbedError is one message and its exit code."""
    collect_rarely()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", IgnoredSetting)
            warnings.showwarning = _show_warning
            testbed(standalone_mode=False, prog_name="testbed", color=_color())
    except click.ClickException as error:
        said = StringIO()
        error.show(said)
        click.echo(printable(said.getvalue()), err=True, nl=False)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("testbed: interrupted", err=True)
        sys.exit(130)
    except TestbedError as error:
        _report(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if os.environ.get("TESTBED_TRACEBACK"):
            raise
        _report(told(error))
    finally:
        collect_no_more()


def _report(error: TestbedError) -> NoReturn:
    """One message, and the exit code of its class."""
    said = f"{click.style('error', fg='red')}: {printable(str(error))}"
    click.echo(said, err=True, color=_color())
    sys.exit(error.exit_code)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    said = f"{click.style('warning', fg='yellow')}: {printable(str(message))}"
    click.echo(said, err=True, color=_color())


def _color() -> bool | None:
    """None lets the terminal decide; NO_COLOR in the environment says no (no-color.org)."""
    return False if os.environ.get("NO_COLOR") else None
