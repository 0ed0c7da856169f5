"""What the daemon does when asked: one function a verb, run in the kernel thread."""

import time
from collections.abc import Callable
from functools import partial
from importlib import import_module

from testbed.daemon.changes import manifests
from testbed.daemon.changes.applied import kept, sent
from testbed.daemon.changes.rollout import set_env
from testbed.daemon.found import drift, drift_to, ended_programs, silent_ports
from testbed.daemon.names import required
from testbed.daemon.process.protocol import Json
from testbed.daemon.questions import tables
from testbed.daemon.questions.asking import called
from testbed.daemon.running import RunningLab
from testbed.daemon.shown import prompt as view
from testbed.daemon.shown import slides, views
from testbed.daemon.tour import tour as choose_checks
from testbed.daemon.unknown import no_place
from testbed.errors import UsageError
from testbed.kernel.programs.run import run
from testbed.kernel.read.observe import observe
from testbed.lab import Lab
from testbed.net.served.endpoints import Probed
from testbed.plan import endpoints
from testbed.probes.matrix import matrix as probe_matrix
from testbed.probes.ping import ping as probe_ping
from testbed.probes.sockets import inside as in_namespace

PROGRAM_TIMEOUT_S = 10.0

Progress = Callable[[str], None]


def up(running: RunningLab, progress: Progress, *, lab: Json | None) -> Json:
    """Apply a lab; how much of it there is and how long it took.

    lab: none is the one that the daemon was started for.
    """
    start = time.monotonic()
    running.up(_described(running, lab))
    return {
        "lab": running.described().name,
        "namespaces": len(running.store.names()),
        "pods": len(running.allocations.pods),
        "pending": views.pending_rows(running.allocations),
        "seconds": round(time.monotonic() - start, 3),
    }


def _described(running: RunningLab, lab: Json | None) -> Lab:
    """The lab that is wanted now, with what `apply -f` brought into the running one."""
    wanted = running.supervisor.lab if lab is None else sent(lab)
    if wanted is None:
        raise UsageError("which lab shall be up?")
    if running.lab is None or not running.manifests:
        return wanted
    wanted = kept(running.manifests, running.lab, wanted)
    manifests.check(wanted)
    return wanted


def apply(
    running: RunningLab, progress: Progress, *, files: Json, cluster: str, dry_run: bool
) -> Json:
    """The objects of manifests, by file, put into a cluster."""
    return manifests.applied(running, files, cluster, dry_run=dry_run)


def delete(
    running: RunningLab,
    progress: Progress,
    *,
    files: Json,
    cluster: str,
    dry_run: bool,
    ignore_not_found: bool,
) -> Json:
    """The objects of manifests, by file, taken out of a cluster."""
    return manifests.deleted(
        running, files, cluster, dry_run=dry_run, ignore_not_found=ignore_not_found
    )


def get(running: RunningLab, progress: Progress, *, kind: str, name: str = "") -> Json:
    """The objects of a kind, or the one of that name."""
    lab, allocations = running.described(), running.allocations
    if kind in views.KERNEL_KINDS:
        names = [required(running, name)] if name else sorted(running.store.names())
        found = observe(running.store, names).state
        return views.kernel_rows(kind, found, running.state)
    if kind == views.CONNTRACK:
        asked = [required(running, name)] if name else tables.tracking(running.state)
        return [*tables.rows(running.store, asked)]
    rows = views.rows(kind, lab, allocations)
    chosen = [row for row in rows if row["name"] == name] if name else rows
    if name and not chosen:
        raise UsageError(no_place(name, {row["name"] for row in rows}, f"among the {kind}"))
    return chosen


def verify(running: RunningLab, progress: Progress) -> Json:
    """Every difference between the plan and what is there, each with the reason it is planned.

    A program that ended is missing as a fact is, and so is a port that nobody serves any more.
    """
    running.described()
    rows = views.drift_rows(drift(running))
    rows["missing"] += [views.program_row(program) for program in ended_programs(running)]
    silent = sorted(silent_ports(running), key=str)
    rows["missing"] += [views.listener_row(listener) for listener in silent]
    return {**rows, "facts": len(running.state)}


def diff(running: RunningLab, progress: Progress, *, lab: Json) -> Json:
    """What `up` of this lab would change, without changing it."""
    return views.difference(*drift_to(running, _described(running, lab)))


def ping(
    running: RunningLab,
    progress: Progress,
    *,
    source: str,
    destination: str,
    count: int,
    timeout_s: float,
) -> Json:
    """Echo requests from one place to another; a name is the address that the source knows."""
    place, address = required(running, source), called(running, source, destination)
    result = probe_ping(running.store, place, address, count=count, timeout_s=timeout_s)
    return {
        "source": source,
        "destination": destination,
        "address": str(address),
        "sent": result.sent,
        "received": result.received,
        "rtt_ms": list(result.rtt_ms),
    }


def matrix(running: RunningLab, progress: Progress, *, protocol: Probed, timeout_s: float) -> Json:
    """Every pair of pods probed and compared with the topology's expectations."""
    lab = running.described()
    return probe_matrix(
        running.store,
        endpoints(lab, running.allocations),
        protocol,
        lab.expected,
        timeout_s=timeout_s,
    ).to_json()


def slide(running: RunningLab, progress: Progress) -> Json:
    """The topology's slides, each compared with what its command prints on its node."""
    lab = running.described()
    values = slides.values(lab, running.allocations, running.state)
    return [
        slides.compared(
            shown,
            slides.filled(shown, values),
            _program(running, shown.node, shown.command.split())[1],
        )
        for shown in lab.slides
    ]


def tour(running: RunningLab, progress: Progress) -> Json:
    """The checks of the tour, each run with the real program in its place."""
    checks = choose_checks(running.described(), running.allocations)
    return [check.result(*_program(running, check.place, list(check.argv))) for check in checks]


def _program(running: RunningLab, place: str, argv: list[str]) -> tuple[int, str]:
    """The exit code of a program in a pod, node or router, and what it printed."""
    netns = required(running, place)
    with in_namespace(running.store, netns):
        result = run(argv, timeout_s=PROGRAM_TIMEOUT_S, files=running.home.shown(netns))
    return result.returncode, result.stdout


def inside(running: RunningLab, progress: Progress) -> Json:
    """Pods, nodes, interfaces and links, for a prompt that speaks their names."""
    nodes = [node.name for cluster in running.described().clusters for node in cluster.nodes]
    return view.to_json(view.view(running.state, running.allocations.pods, nodes))


def heal(running: RunningLab, progress: Progress) -> Json:
    """Bring the kernel back to what was applied last."""
    running.up(running.described())
    return {}


def _told(module: str, verb: str, running: RunningLab, progress: Progress, **args: Json) -> Json:
    """A verb of another module, loaded when it is first asked for: `up` shall be quick."""
    answer: Callable[..., Json] = getattr(import_module(f"testbed.daemon.{module}"), verb)
    return answer(running, progress, **args)


VERBS: dict[str, Callable[..., Json]] = {
    verb.__name__: verb
    for verb in (
        *(up, apply, delete, set_env, get, verify, diff),
        *(ping, matrix, slide, tour, inside, heal),
    )
} | {
    verb: partial(_told, module, verb)
    for module, verb in (
        ("questions.describe", "describe"),
        ("questions.explain", "explain"),
        ("questions.explain", "reasons"),
        ("questions.explain", "reachability"),
        ("questions.clients", "clients"),
        ("changes.restart", "restart"),
        ("questions.path", "path"),
    )
}
