"""`apply -f` and `delete -f`: manifests change a cluster of the running lab."""

from collections.abc import Container
from dataclasses import replace

from testbed.allocations import Allocations
from testbed.daemon.found import drift_to
from testbed.daemon.process.protocol import Json
from testbed.daemon.running import RunningLab
from testbed.daemon.shown import views
from testbed.description.problem import unknown
from testbed.errors import UsageError
from testbed.kubernetes.manifests import ObjectName, Objects, parse
from testbed.kubernetes.manifests.apply import Change, apply, delete, last
from testbed.lab import Cluster, Lab
from testbed.lab.checks import problems
from testbed.lab.objects import objects, with_objects
from testbed.services import updates
from testbed.services.checks import given_already
from testbed.services.updates import with_kept

NOTHING = Objects()
NOTHING_GIVEN = Allocations()


def applied(
    running: RunningLab, files: dict[str, str], cluster: str, *, dry_run: bool
) -> dict[str, Json]:
    """The objects of these texts put into a cluster.  Nothing changes when one is refused.

    Raises as `put`.
    """
    lab = running.described()
    known = _known(running, _chosen(lab, cluster).name)
    changed, changes = put(lab, files, cluster, running.allocations, known)
    return _done(running, _chosen(lab, cluster).name, changed, changes, dry_run=dry_run)


def put(
    lab: Lab,
    files: dict[str, str],
    cluster: str = "",
    given: Allocations = NOTHING_GIVEN,
    known: Container[ObjectName] = (),
) -> tuple[Lab, tuple[Change, ...]]:
    """A lab with the objects of these texts in a cluster, or in the only one.

    given: what the lab's Services have already.  known: what was applied before.
    Raises DescriptionError with file and line; UsageError: no such cluster, no object.
    """
    written, chosen = _parsed(files), _chosen(lab, cluster)
    after, changes = apply(objects(chosen), written, known)
    services = with_kept(chosen.services, after.services)
    changed = replace(after, services=services, origins=written.origins)
    # what was there comes first, so that a clash is told of what is written
    check(_with(lab, chosen, last(changed, written.written)), chosen.name, written)
    addresses = [one for one in given.services if one.cluster == chosen.name]
    for problem in (
        *updates.problems(chosen.services, changed.services, addresses),
        *given_already(changed.services, addresses),
    ):
        raise written.refusal(problem) or problem.error()
    return _with(lab, chosen, changed), changes


def deleted(
    running: RunningLab,
    files: dict[str, str],
    cluster: str,
    *,
    dry_run: bool,
    ignore_not_found: bool,
) -> dict[str, Json]:
    """The objects of these texts taken out of a cluster, or none when one is not there.

    Raises as `put`; UsageError: an object is not there.
    """
    lab = running.described()
    chosen, names = _chosen(lab, cluster), _parsed(files).written
    known = _known(running, chosen.name)
    after, changes = delete(objects(chosen), names, known, ignore_not_found=ignore_not_found)
    changed = _with(lab, chosen, after)
    check(changed, chosen.name)
    return _done(running, chosen.name, changed, changes, dry_run=dry_run)


def _known(running: RunningLab, cluster: str) -> frozenset[ObjectName]:
    """What was applied to a cluster before."""
    return frozenset(name for of, name in running.manifests if of == cluster)


def _parsed(files: dict[str, str]) -> Objects:
    """The objects of these texts.  Raises as `parse`, and where there are none at all."""
    found = parse(files)
    if not found.written:
        raise UsageError(f"there is no object in {', '.join(files)}")
    return found


def _done(
    running: RunningLab, cluster: str, lab: Lab, changes: tuple[Change, ...], *, dry_run: bool
) -> dict[str, Json]:
    """What became of each object; of a dry run what would be written, else who waits."""
    told: dict[str, Json] = {"objects": [_row(change) for change in changes]}
    if dry_run:
        return {**told, **views.difference(*drift_to(running, lab))}
    if any(change.outcome != "unchanged" for change in changes):
        touched = frozenset((cluster, change.name) for change in changes)
        gone = frozenset((cluster, one.name) for one in changes if one.outcome == "deleted")
        running.up(lab, running.manifests - gone | touched - gone)
    return {**told, "pending": views.pending_rows(running.allocations)}


def _row(change: Change) -> Json:
    return {**change.name._asdict(), "outcome": change.outcome}


def _chosen(lab: Lab, name: str) -> Cluster:
    """The cluster of a name, or the only one."""
    names = [cluster.name for cluster in lab.clusters]
    if not name and len(names) != 1:
        raise UsageError(f"choose one of the lab's clusters with --cluster: {', '.join(names)}")
    for cluster in lab.clusters:
        if name in ("", cluster.name):
            return cluster
    raise UsageError(unknown("cluster", name, names))


def _with(lab: Lab, cluster: Cluster, changed: Objects) -> Lab:
    """The lab whose cluster has these objects."""
    other = with_objects(cluster, changed)
    return replace(lab, clusters=tuple(other if c == cluster else c for c in lab.clusters))


def check(lab: Lab, cluster: str = "", objects: Objects = NOTHING) -> None:
    """Raise the first problem of a lab, where it is written if that is in a cluster's objects."""
    for problem in problems(lab):
        refusal = None
        if problem.path[:2] == ("clusters", cluster):
            refusal = objects.refusal(replace(problem, path=problem.path[2:]))
        raise refusal or problem.error()
