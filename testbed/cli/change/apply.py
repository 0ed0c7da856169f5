"""apply: Kubernetes manifests into a running lab."""

import click

from testbed.cli.change.manifests import change, manifest_options, show


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
