"""demo: what `make eks-topology` does: the slide, the lab, real pings and curls."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from testbed.cli.files import FILE, loaded
from testbed.cli.look.slide import side_by_side
from testbed.cli.options import option, publish_option, rootless_option
from testbed.cli.output import end, mark, note
from testbed.cli.privilege import choose_owner
from testbed.cli.table import table
from testbed.daemon import lifecycle
from testbed.daemon.process import home as homes
from testbed.daemon.process.home import Home
from testbed.daemon.process.protocol import Json, call
from testbed.lab import Lab


@click.command("demo")
@click.argument("file", type=FILE)
@option("--slides", type=FILE, help="A topology whose slides are compared first, then taken down.")
@option("--prompt/--no-prompt", default=None, help="Mininet's prompt at the end; on a terminal.")
@publish_option
@rootless_option
def demo_(
    file: Path,
    slides: Path | None,
    prompt: bool | None,
    published: bool | None,
    rootless: bool,
) -> None:
    """Bring the lab of FILE up, prove it with the real ping and curl, leave it up.

    Exits 1 when a check failed.
    """
    lab = loaded(file, None)
    choose_owner(lab.name, rootless=rootless)
    same = slides is None or _show_slides(slides)
    report = lifecycle.up(lab, note, published=published)
    home = Home(lab.name)
    click.echo(
        f"{click.style(str(file), bold=True)}: {report['pods']} pods in "
        f"{report['namespaces']} network namespaces, up in {report['seconds']:.2f} s\n"
    )
    passed = _show_tour(call(home, "tour"))
    _show_hints(lab)
    if prompt or (prompt is None and sys.stdin.isatty() and sys.stdout.isatty()):
        from testbed.cli.inside.prompt import open_prompt

        open_prompt(home, ())
    end(same and passed)


def _show_slides(file: Path) -> bool:
    """Compare a topology's slides with the kernel; take its lab down again if it was not there."""
    lab = loaded(file, None)
    was_running = any(home.lab == lab.name for home in homes.running())
    lifecycle.up(lab, note)
    try:
        results = call(Home(lab.name), "slide")
    finally:
        if not was_running:
            lifecycle.down(lab.name)
    for result in results:
        click.echo(side_by_side(result))
    return all(result["same"] for result in results)


def _show_tour(results: Json) -> bool:
    if not results:  # a lab without pods
        return True
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


def _show_hints(lab: Lab) -> None:
    """Commands with names of this lab: a node's rules, a way, the matrix."""
    prefix = "" if len(homes.running()) == 1 else f"-l {lab.name} "
    hints = (*_ways(lab, prefix), (f"testbed matrix {prefix}-p http", "every end to every end"))
    width = max(len(command) for command, _ in hints)
    note("\nThe lab stays up. Things to try:")
    for command, what in hints:
        note(f"  {command:{width}}   {what}")
    note(f"`testbed down {lab.name}` takes it away.")


def _ways(lab: Lab, prefix: str) -> Iterator[tuple[str, str]]:
    """What to ask of the first cluster; of a lab without pods, of its instances."""
    path = (f"testbed explain {prefix}{{}} {{}}", "one packet's life, rule by rule")
    pods = [(cluster, pod) for cluster in lab.clusters for pod in cluster.pods]
    if not pods:
        ends = [instance.name for vpc in lab.vpcs for instance in vpc.running]
        if len(ends) > 1:
            yield path[0].format(*ends[:2]), path[1]
        return
    [(cluster, _), *_] = pods
    first = [pod for pod in cluster.pods if pod.selectable == cluster.pods[0].selectable]
    others = [pod for pod in cluster.pods if pod not in first] or first
    look = "ip rule" if cluster.kind == "eks" else "ip route"
    for node in cluster.nodes[:1]:  # all its pods may be on Fargate
        yield f"testbed exec {prefix}{node.name} -- {look}", "the node's routing, as on a real one"
    yield path[0].format(first[-1].netns, others[0].netns), path[1]
