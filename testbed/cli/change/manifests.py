"""What apply and delete share: manifests on a running lab, kubectl's way."""

from collections.abc import Callable
from typing import Any

import click

from testbed.cli.options import chosen, lab_option, option, output_option
from testbed.cli.output import difference_lines, emit, note
from testbed.cli.table import table
from testbed.daemon import lifecycle
from testbed.daemon.process.protocol import Json


def manifest_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What both verbs take."""
    for decorate in (
        option("--dry-run", is_flag=True, help="Say what would change and change nothing."),
        option("--cluster", default="", metavar="CLUSTER", help="Without it, the only one."),
        click.option(
            "-f",
            "--filename",
            "files",
            multiple=True,
            required=True,
            metavar="FILE",
            help="Manifests; `-` is standard input.",
        ),
        output_option,
        lab_option,
    ):
        function = decorate(function)
    return function


def change(lab_name: str | None, verb: str, files: tuple[str, ...], **args: Json) -> Json:
    """The daemon's report of a verb on the texts of these files."""
    from testbed.files import texts

    return lifecycle.change(chosen(lab_name), verb, files=texts(files), **args)


def show(told: Json, output: str, dry_run: bool) -> None:
    """Print what became of each object, and who waits for a place."""
    if output != "table":
        emit(told, output)
        return
    how = " (dry run)" if dry_run else ""
    for one in told["objects"]:
        click.echo(f"{one['kind'].lower()}/{one['name']} {one['outcome']}{how}")
    for line in difference_lines(told):
        click.echo(line)
    if told.get("pending"):
        note(table(told["pending"], ["pod", "reason"]))
