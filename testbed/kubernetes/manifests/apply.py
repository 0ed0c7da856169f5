"""`kubectl apply` and `kubectl delete` on what a cluster has: what it has afterwards."""

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from testbed.errors import UsageError
from testbed.kubernetes.manifests import ObjectName, Objects

Outcome = Literal["created", "configured", "unchanged", "deleted"]  # kubectl's words


@dataclass(frozen=True)
class Change:
    """What became of one object."""

    name: ObjectName
    outcome: Outcome


class _Kind(NamedTuple):
    """Where the parts of such objects are, and which of them are one object's."""

    field: str
    is_part: Callable[[Any, ObjectName], bool]


def _named(part: Any, name: ObjectName) -> bool:
    return (part.namespace, part.name) == (name.namespace, name.name)


_KINDS = {
    "Pod": _Kind("pods", lambda pod, name: not pod.owner and _named(pod, name)),
    "Deployment": _Kind(
        "pods", lambda pod, name: (pod.namespace, pod.owner) == (name.namespace, name.name)
    ),
    "Service": _Kind("services", _named),
    "Endpoints": _Kind(
        "endpoint_slices", lambda one, name: one.kind == name.kind and _named(one, name)
    ),
    "EndpointSlice": _Kind(
        "endpoint_slices", lambda one, name: one.kind == name.kind and _named(one, name)
    ),
    "ENIConfig": _Kind("eni_configs", lambda config, name: bool(config.name == name.name)),
}


def apply(
    there: Objects, objects: Objects, known: Container[ObjectName] = ()
) -> tuple[Objects, tuple[Change, ...]]:
    """What is there with these objects, each in the place of the one of its name.

    known: objects that are there though they have no parts, as a Deployment without replicas.
    Raises DescriptionError, with file and line, for one that may not change so.
    """
    from testbed.kubernetes.manifests import updates  # comes with all that reads manifests

    changes = []
    for name, manifest in objects.written.items():
        before, after = parts(there, name), parts(objects, name)
        updates.check(manifest, before, after)
        outcome: Outcome = "unchanged" if before == after else "configured"
        changes.append(Change(name, outcome if before or name in known else "created"))
        there = put(there, name, after)
    return there, tuple(changes)


def delete(
    there: Objects,
    names: Iterable[ObjectName],
    known: Container[ObjectName] = (),
    *,
    ignore_not_found: bool = False,
) -> tuple[Objects, tuple[Change, ...]]:
    """What is there without these objects.  known: as for `apply`.

    Raises UsageError for the first that is not there.
    """
    changes = []
    for name in names:
        if parts(there, name) or name in known:
            changes.append(Change(name, "deleted"))
            there = put(there, name, ())
        elif not ignore_not_found:
            raise UsageError(f'{name.kind} "{name.name}" not found in namespace {name.namespace}')
    return there, tuple(changes)


def last(there: Objects, names: Iterable[ObjectName]) -> Objects:
    """The same with these objects behind all others."""
    for name in names:
        own = parts(there, name)
        there = put(put(there, name, ()), name, own)
    return there


def parts(there: Objects, name: ObjectName) -> list[Any]:
    """The pods, Service or slices that an object is."""
    kind = _KINDS[name.kind]
    return [one for one in getattr(there, kind.field) if kind.is_part(one, name)]


def put(there: Objects, name: ObjectName, after: Iterable[Any]) -> Objects:
    """Other parts in the place of an object's; the rest keeps its order."""
    field = _KINDS[name.kind].field
    everything, old = getattr(there, field), parts(there, name)
    kept = [one for one in everything if one not in old]
    place = next((i for i, one in enumerate(everything) if one in old), len(kept))
    changed = (*kept[:place], *after, *kept[place:])
    match field:
        case "pods":
            return replace(there, pods=changed)
        case "services":
            return replace(there, services=changed)
        case "eni_configs":
            return replace(there, eni_configs=changed)
        case _:
            return replace(there, endpoint_slices=changed)
