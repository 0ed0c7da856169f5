"""up, down, ls, clean: a lab's life."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.cli import completion, privilege
from testbed.cli.options import chosen, option, output_option, publish_option, rootless_option
from testbed.cli.output import emit, note, table
from testbed.daemon import lifecycle
from testbed.daemon.process import home as homes
from testbed.daemon.process.home import Home
from testbed.daemon.process.protocol import Json, answers, call
from testbed.errors import UsageError

if TYPE_CHECKING:
    from testbed.lab import Lab  # heavy: only for those who read a file

FILE = click.Path(path_type=Path)


def loaded(file: Path, name: str | None) -> "Lab":
    """The lab a file describes, under another name where one is given."""
    from testbed.load import load, renamed

    lab = load(file)
    return lab if name is None else renamed(lab, name)


@click.command("up")
@click.argument("file", type=FILE, default="topologies/eks.yaml")
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
    file: Path,
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
    lab = loaded(file, name)
    if reachability or against:
        if not dry_run:
            raise UsageError("--reachability and --against go with --dry-run")
        from testbed.cli.reachability import show_reachability

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
        return
    click.echo(
        f"lab {report['lab']}: {report['pods']} pods in {report['namespaces']} namespaces, "
        f"{report['seconds']:.2f} s"
    )
    if report["pending"]:
        click.echo(table(report["pending"], ["pod", "reason"]))
    which = f" -l {lab.name}" if len(homes.running()) > 1 else ""
    verbs = (f"get pods{which}", f"matrix{which}", f"shell{which} POD", f"down {lab.name}")
    note("next: " + " · ".join(f"testbed {verb}" for verb in verbs))


def show_difference(lab: "Lab", output: str) -> None:
    """What `up` of this lab would write and remove, by namespace."""
    difference = _difference(lab)
    if output != "table":
        emit(difference, output)
        return
    print_difference(difference)


def print_difference(difference: Json) -> None:
    """A line for each fact: `+ node-1: 1536: from …`."""
    for sign, facts in (("+", difference["add"]), ("-", difference["remove"])):
        for fact in facts:
            click.echo(f"{sign} {fact['ns']}: {fact['text']}")
    click.echo(f"{len(difference['add'])} to write, {len(difference['remove'])} to remove")


def _difference(lab: "Lab") -> Json:
    running = next((home for home in homes.running() if home.lab == lab.name), None)
    if running is not None and answers(running):
        from testbed.lab import to_json

        return call(running, "diff", lab=to_json(lab))
    from testbed.allocations import allocate
    from testbed.daemon.shown.views import difference
    from testbed.net.diff import compare
    from testbed.plan import plan

    wanted = plan(lab, allocate(lab))
    return difference(compare(wanted, frozenset()), wanted)


@click.command("down")
@click.argument("labs", nargs=-1, metavar="[LAB]...", shell_complete=completion.labs)
@option("-a", "--all", "everything", is_flag=True, help="Every running lab.")
def down_(labs: tuple[str, ...], everything: bool) -> None:
    """Take labs down until nothing of them remains; doing it twice is fine."""
    own, roots = [home.lab for home in homes.running()], privilege.roots_labs()
    if not labs and not everything:
        if not own and not roots:
            note("no lab is running")
            return
        labs = (chosen(None).lab,)
    if not everything:
        names = [_lab_name(given) for given in labs]
        roots = [name for name in names if name in roots and name not in own]
        own = [name for name in names if name not in roots]
    for name in own:
        existed = lifecycle.down(name)
        click.echo(f"lab {name}: {'down' if existed else 'was not running'}")
    if roots:
        privilege.become_root(["down", "--", *roots])


def _lab_name(given: str) -> str:
    """The name of a lab, or of the lab in a file."""
    is_file = given.endswith((".yaml", ".yml", ".py")) or ("/" in given and Path(given).exists())
    return loaded(Path(given), None).name if is_file else given


@click.command("ls")
@output_option
def ls_(output: str) -> None:
    """The labs of this machine and whether their daemons answer."""
    rows: list[Json] = [
        {
            "name": home.lab,
            "status": _status(home),
            "pid": holder.pid,
        }
        for home in homes.homes()
        if (holder := home.holder())
    ]
    rows += [
        {"name": name, "status": "root's: `sudo testbed ls` tells more", "pid": None}
        for name in privilege.roots_labs()
    ]
    if rows or output != "table":
        emit(rows, output)
    else:
        note("no lab is running; `testbed up FILE` starts one")


def _status(home: Home) -> str:
    if not answers(home):
        return "coming up" if home.owner() else "daemon dead: `testbed up FILE` starts a new one"
    if owner := home.owner():
        return f"running until process {owner.pid} ends" if home.applied.exists() else "coming up"
    return "running"


@click.command("clean")
def clean_() -> None:
    """Remove files and names of labs whose processes are gone; running labs are not touched."""
    for name in lifecycle.sweep():
        click.echo(f"removed what was left of lab {name}")
    if privilege.roots_labs():
        privilege.become_root(["clean"])
