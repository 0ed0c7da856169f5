"""demo: what `make eks-topology` does: the slide, the lab, real pings and curls."""

import sys
from pathlib import Path

import click

from testbed.cli.lifecycle import FILE, loaded
from testbed.cli.look import side_by_side
from testbed.cli.options import be_root, option
from testbed.cli.output import mark, note, table
from testbed.daemon import home as homes
from testbed.daemon import lifecycle
from testbed.daemon.home import Home
from testbed.daemon.protocol import Json, call

EXIT_FAILED = 1


@click.command("demo")
@click.argument("file", type=FILE)
@option("--slides", type=FILE, help="A topology whose slides are compared first, then taken down.")
@option("--prompt/--no-prompt", default=None, help="Mininet's prompt at the end; on a terminal.")
def demo_(file: Path, slides: Path | None, prompt: bool | None) -> None:
    """Bring the lab of FILE up, prove it with the real ping and curl, leave it up.

    Exits 1 when a check failed.
    """
    be_root()
    same = slides is None or _show_slides(slides)
    lab = loaded(file, None)
    report = lifecycle.up(lab)
    home = Home(lab.name)
    click.echo(
        f"{click.style(str(file), bold=True)}: {report['pods']} pods in "
        f"{report['namespaces']} network namespaces, up in {report['seconds']:.2f} s\n"
    )
    passed = _show_tour(call(home, "tour"))
    _show_hints(lab.name)
    if prompt or (prompt is None and sys.stdin.isatty() and sys.stdout.isatty()):
        from testbed.cli.prompt import open_prompt

        open_prompt(home, ())
    sys.exit(0 if same and passed else EXIT_FAILED)


def _show_slides(file: Path) -> bool:
    """Compare a topology's slides with the kernel; take its lab down again if it was not there."""
    lab = loaded(file, None)
    was_running = any(home.lab == lab.name for home in homes.running())
    lifecycle.up(lab)
    try:
        results = call(Home(lab.name), "slide")
    finally:
        if not was_running:
            lifecycle.down(lab.name)
    for result in results:
        click.echo(side_by_side(result))
    return all(result["same"] for result in results)


def _show_tour(results: Json) -> bool:
    rows = []
    for previous, row in zip([{"problem": ""}, *results], results, strict=False):
        same_problem = previous["problem"] == row["problem"]
        rows.append(
            {**row, "problem": "" if same_problem else row["problem"], "": mark(row["ok"])}
        )
    click.echo(table(rows, ["problem", "proves", "", "saw", "command"]))
    failed = [row for row in results if not row["ok"]]
    click.echo(
        f"\n{len(results) - len(failed)} of {len(results)} checks passed  {mark(not failed)}"
    )
    return not failed


def _show_hints(lab: str) -> None:
    prefix = "" if len(homes.running()) == 1 else f"-l {lab} "
    note(
        "\nThe lab stays up. Three things to try:\n"
        f"  testbed exec {prefix}node-1 -- ip rule        the CNI's rules, as on a real node\n"
        f"  testbed path {prefix}web-4 client             hop by hop, as each kernel answers\n"
        f"  testbed matrix {prefix}-p http                every pod to every pod\n"
        f"`testbed down {lab}` takes it away."
    )
