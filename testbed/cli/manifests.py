"""apply, delete: Kubernetes manifests on a running lab, kubectl's way."""

from collections.abc import Callable
from typing import Any

import click

from testbed.cli.options import chosen, lab_option, option, output_option
from testbed.cli.output import emit, note, table
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


@click.command("apply")
@manifest_options
def apply_(
    lab_name: str | None, output: str, files: tuple[str, ...], cluster: str, dry_run: bool
) -> None:
    """Put the objects of FILE into the running lab: pods start, rules change on every node.

    Pods, Deployments, Services, Endpoints, EndpointSlices, ENIConfigs; several in one file or
    several files.  When one is refused nothing changes.  They stay until `testbed delete` takes
    them out.
    """
    show(change(lab_name, "apply", files, cluster=cluster, dry_run=dry_run), output, dry_run)


@click.command("delete")
@manifest_options
@option("--ignore-not-found", is_flag=True, help="What is not there is deleted already.")
def delete_(
    lab_name: str | None,
    output: str,
    files: tuple[str, ...],
    cluster: str,
    dry_run: bool,
    ignore_not_found: bool,
) -> None:
    """Take the objects of FILE out of the running lab.  When one is not there nothing changes."""
    told = change(
        lab_name,
        "delete",
        files,
        cluster=cluster,
        dry_run=dry_run,
        ignore_not_found=ignore_not_found,
    )
    show(told, output, dry_run)


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
    for sign, facts in (("+", told.get("add", ())), ("-", told.get("remove", ()))):
        for fact in facts:
            click.echo(f"{sign} {fact['ns']}: {fact['text']}")
    if told.get("pending"):
        note(table(told["pending"], ["pod", "reason"]))
