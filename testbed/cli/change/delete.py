"""delete: the objects of manifests out of a running lab."""

import click

from testbed.cli.change.manifests import change, manifest_options, show
from testbed.cli.options import option


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
