"""Which pairs of pods a topology file changes, predicted: nothing is sent, nothing is changed."""

from collections.abc import Iterator

import click

from testbed.cli.output import emit, note
from testbed.cli.table import table
from testbed.daemon.process import home as homes
from testbed.daemon.process.protocol import Json, answers, call
from testbed.explain.reachability import Reachability, told
from testbed.lab import Lab


def show_reachability(lab: Lab, against: Lab | None, output: str) -> None:
    """Compare a lab with another file's, or with the running one of its name."""
    result = _compared(lab, against)
    if output != "table":
        emit(result, output)
        return
    if listed := list(_listed(result)):
        click.echo(table(listed))
    for word in ("added", "removed"):
        if result[word]:
            click.echo(f"{word}: {' '.join(result[word])}")
    click.echo(
        f"{result['pairs']} pairs predicted, {result['delivered']} delivered, "
        f"{len(result['changes'])} changed"
    )


def _listed(result: Json) -> Iterator[Json]:
    """The changes that the names of who came and who went do not tell."""
    for row in result["changes"]:
        ends = {row["from"], row["to"]}
        as_wished = row["after"] == "delivered" and ends & {*result["added"]}
        if not as_wished and not ends & {*result["removed"]}:
            yield row


def _compared(lab: Lab, against: Lab | None) -> Json:
    running = next((home for home in homes.running() if home.lab == lab.name), None)
    if against is not None:
        return told(_predicted(against), _predicted(lab))
    if running is None or not answers(running):
        note(f"no lab '{lab.name}' is running: every pair is new")
        return told({}, _predicted(lab))
    from testbed.lab import to_json

    return call(running, "reachability", lab=to_json(lab))


def _predicted(lab: Lab) -> Reachability:
    from testbed.allocations import allocate
    from testbed.daemon.questions.pairs import all_pairs
    from testbed.explain.walk.world import World
    from testbed.plan import endpoints, plan

    allocations = allocate(lab)
    world = World.planned(plan(lab, allocations))
    return all_pairs(world, endpoints(lab, allocations))
