"""slide: the workshop's slides beside what the kernel prints."""

import click

from testbed.cli.options import ask, lab_option, output_option
from testbed.cli.output import emit, end, note
from testbed.daemon.process.protocol import Json


@click.command("slide")
@lab_option
@output_option
def slide_(lab_name: str | None, output: str) -> None:
    """The topology's slides beside what the same command prints in the lab's node.

    Exits 1 when a line of a slide is missing in the kernel or the kernel has one more.
    """
    results = ask(lab_name, "slide")
    if output != "table":
        emit(results, output)
    else:
        for result in results:
            click.echo(side_by_side(result))
        if not results:
            note("the lab's topology has no slides; topologies/eks-slides.yaml has some")
    end(all(result["same"] for result in results))


def side_by_side(result: Json) -> str:
    """A slide on the left, the kernel on the right, a mark between where they differ."""
    left, right = "the slide", f"{result['node']}: {result['command']}"
    width = max(len(left), *(len(line["slide"]) for line in result["lines"]))
    lines = [click.style(result["title"], bold=True), f"  {left:{width}}   {right}"]
    for line in result["lines"]:
        sign = "=" if line["slide"] == line["kernel"] else click.style("≠", fg="red")
        lines.append(f"  {line['slide']:{width}} {sign} {line['kernel']}")
    lines.append("  no difference" if result["same"] else click.style("  they differ", fg="red"))
    return "\n".join([*lines, ""])
