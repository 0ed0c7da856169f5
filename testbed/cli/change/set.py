"""set: other settings for the CNI of a running lab."""

import click

from testbed.cli.change.daemonset import without_kubectls_words
from testbed.cli.options import chosen, lab_option, option, output_option
from testbed.cli.output import emit, note, print_difference
from testbed.daemon.process.protocol import call
from testbed.errors import UsageError


@click.command("set")
@lab_option
@option("--dry-run", is_flag=True, help="Say what would change and change nothing.")
@output_option
@click.argument("where")
@click.argument("given", nargs=-1, required=True, metavar="KEY=VALUE | KEY- ...")
def set_(
    lab_name: str | None, dry_run: bool, output: str, where: str, given: tuple[str, ...]
) -> None:
    """Roll aws-node out with other variables, as `kubectl set env daemonset aws-node` does.

    WHERE is daemonset/aws-node, or the name of a cluster or of one of its nodes: one DaemonSet
    serves all nodes.  KEY- takes a variable back to its default.  Prints what the kernels get and
    lose; the next `up FILE` brings back what the file says.
    """
    where, *settings = without_kubectls_words(where, *given)
    report = call(
        chosen(lab_name),
        "set_env",
        progress=note,
        where=where,
        values=dict(_pairs(settings)),
        unset=[one.removesuffix("-") for one in settings if _unsets(one)],
        dry_run=dry_run,
    )
    if output != "table":
        emit(report, output)
        return
    print_difference(report)


def _unsets(setting: str) -> bool:
    return setting.endswith("-") and "=" not in setting


def _pairs(settings: list[str]) -> list[tuple[str, str]]:
    pairs = []
    for one in settings:
        key, equals, value = one.partition("=")
        if equals:
            pairs.append((key, value))
        elif not _unsets(one):
            raise UsageError(f"expected KEY=VALUE or KEY-, found {one!r}")
    return pairs
