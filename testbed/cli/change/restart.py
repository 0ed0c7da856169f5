"""restart: the CNI's daemon starts again on a running lab."""

import click

from testbed.cli.change.daemonset import without_kubectls_words
from testbed.cli.options import chosen, lab_option, output_option
from testbed.cli.output import emit, note, print_difference
from testbed.daemon.process.protocol import call
from testbed.errors import UsageError


@click.command("restart")
@lab_option
@output_option
@click.argument("words", nargs=-1, required=True, metavar="WHERE")
def restart_(lab_name: str | None, output: str, words: tuple[str, ...]) -> None:
    """Start aws-node again, as `kubectl rollout restart daemonset aws-node` does.

    WHERE is daemonset/aws-node, the name of a cluster, or of a node: its own aws-node only.
    It reads its checkpoint and writes what it writes at a start, which is not all that a node
    needs; docs/ipam.md.  Prints what the kernels get and lose.
    """
    where, *more = without_kubectls_words(*words)
    if more:
        raise UsageError(f"aws-node starts again in one place, not in {where} and {more[0]!r}")
    report = call(chosen(lab_name), "restart", progress=note, where=where)
    if output != "table":
        emit(report, output)
        return
    for lost in report["store"]:
        note(f"{lost['node']}: {lost['address']} of {lost['pod']} is dropped: {lost['why']}")
    print_difference(report)
