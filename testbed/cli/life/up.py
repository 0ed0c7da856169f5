"""up: bring a lab up, or say what would change."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.cli import privilege
from testbed.cli.files import FILE, loaded
from testbed.cli.options import option, output_option, publish_option, rootless_option
from testbed.cli.output import emit, note, print_difference
from testbed.cli.table import table
from testbed.daemon import lifecycle
from testbed.daemon.process import home as homes
from testbed.daemon.process.protocol import Json, answers, call
from testbed.errors import UsageError

if TYPE_CHECKING:
    from testbed.lab import Lab  # heavy: only for those who read a file

SHIPPED = Path("topologies/eks.yaml")


@click.command("up")
@click.argument("file", type=FILE, required=False)
@option("--name", metavar="LAB", help="Another name for the lab, to run a file twice.")
@option("--dry-run", is_flag=True, help="Say what would change and change nothing.")
@option("--reachability", is_flag=True, help="With --dry-run: which pairs of pods it changes.")
@option(
    "--against",
    type=FILE,
    metavar="FILE",
    help="With --reachability: compare with this file, not the lab.",
)
@publish_option
@rootless_option
@output_option
def up_(
    file: Path | None,
    name: str | None,
    dry_run: bool,
    reachability: bool,
    against: Path | None,
    published: bool | None,
    rootless: bool,
    output: str,
) -> None:
    """Bring the lab of FILE up, or change the running one into what FILE says now.

    FILE is topologies/eks.yaml where none is named.  Whatever differs from the plan is healed.
    Pods that find no place stay Pending.
    """
    lab = loaded(file or _shipped(), name)
    if reachability or against:
        if not dry_run:
            raise UsageError("--reachability and --against go with --dry-run")
        from testbed.cli.life.reachability import show_reachability

        show_reachability(lab, loaded(against, None) if against else None, output)
        return
    if dry_run:
        privilege.become_owner(lab.name)
        show_difference(lab, output)
        return
    privilege.choose_owner(lab.name, rootless=rootless)
    start = time.monotonic()
    report = lifecycle.up(lab, note, published=published)
    report["seconds"] = round(time.monotonic() - start, 2)
    if output != "table":
        emit(report, output)
    else:
        _show(report)


def _shipped() -> Path:
    """The lab of `make eks-topology`.  Raises UsageError: this is not the testbed's folder."""
    if not SHIPPED.exists():
        raise UsageError(f"which FILE? {SHIPPED}, meant where none is named, is not here")
    return SHIPPED


def _show(report: Json) -> None:
    """How much there is of the lab, who waits, and what one may do next."""
    lab = report["lab"]
    click.echo(
        f"lab {lab}: {report['pods']} pods in {report['namespaces']} namespaces, "
        f"{report['seconds']:.2f} s"
    )
    if report["pending"]:
        click.echo(table(report["pending"], ["pod", "reason"]))
    which = f" -l {lab}" if len(homes.running()) > 1 else ""
    verbs = (f"get pods{which}", f"matrix{which}", f"shell{which} POD", f"down {lab}")
    note("next: " + " · ".join(f"testbed {verb}" for verb in verbs))


def show_difference(lab: "Lab", output: str) -> None:
    """What `up` of this lab would write and remove, by namespace."""
    difference = _difference(lab)
    if output != "table":
        emit(difference, output)
        return
    print_difference(difference)


def _difference(lab: "Lab") -> Json:
    running = next((home for home in homes.running() if home.lab == lab.name), None)
    if running is not None and answers(running):
        from testbed.lab import to_json

        return call(running, "diff", lab=to_json(lab))
    from testbed.allocations import allocate
    from testbed.daemon.shown.views import difference
    from testbed.net.drift.diff import compare
    from testbed.plan import plan

    wanted = plan(lab, allocate(lab))
    return difference(compare(wanted, frozenset()), wanted)
